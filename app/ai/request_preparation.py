"""Making a model request ready: instructions, settings and tools, asked of the user's code anew for each request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from app.ai.callbacks import call_user_function, call_with_optional_context, function_name
from app.ai.exceptions import ModelRetry, SkipModelRequest, UserError
from app.ai.history import merge_messages
from app.ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
)
from app.ai.models import Model, ModelRequestParameters
from app.ai.models.request_context import ModelRequestContext
from app.ai.native_tools import AbstractNativeTool
from app.ai.run_context import RunContext
from app.ai.run_state import AgentModelSettings, RunState, merged_settings, stamp_message, stamp_request
from app.ai.settings import ModelSettings, merge_model_settings
from app.ai.steps import PreparedRequest
from app.ai.tools import ToolDefinition


async def prepare_request(
    run: RunState, ctx: RunContext[Any], request: ModelRequest, pending: Sequence[ModelMessage]
) -> PreparedRequest:
    """Ask user code what this request shall hold. Raises `UserError` if there is nothing to send.

    The `pending` messages, which end in a request, are sent after it.
    """
    settings = await _merge_settings(ctx, run.deps.model_settings)
    ctx = replace(ctx, model_settings=settings)
    parts = await _instruction_parts(run, ctx)
    message = replace(request, instructions=InstructionPart.join(parts))
    if not (message.parts or message.instructions or pending) and len(run.state.message_history) == 1:
        raise UserError("There is nothing to ask the model: no prompt, no history and no instructions")
    parameters = replace(_parameters(run, parts), native_tools=await _native_tools(run, ctx))
    prepared = _with_pending(run, PreparedRequest(message, settings, parameters), pending)
    if run.deps.usage_limits.count_tokens_before_request:
        await _check_counted_tokens(run, prepared)
    return await _with_hooks(run, ctx, prepared) if run.deps.capability.capabilities else prepared


def messages_to_send(model: Model, messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """Messages in the form that providers want."""
    return model.prepare_messages(merge_messages(messages))


def _with_pending(run: RunState, prepared: PreparedRequest, pending: Sequence[ModelMessage]) -> PreparedRequest:
    if not pending:
        return prepared
    *earlier, newest = [stamp_message(message, run.state) for message in pending]
    assert isinstance(newest, ModelRequest), "what is enqueued ends in a request"
    return replace(prepared, message=newest, history=[*_earlier(run, prepared), prepared.message, *earlier])


def _earlier(run: RunState, prepared: PreparedRequest) -> list[ModelMessage]:
    """The messages before the newest one."""
    return run.state.message_history[:-1] if prepared.history is None else prepared.history


async def _with_hooks(run: RunState, ctx: RunContext[Any], prepared: PreparedRequest) -> PreparedRequest:
    assert prepared.parameters is not None, "a request that was just prepared has parameters"
    history = _earlier(run, prepared)
    context = ModelRequestContext(
        run.deps.model, [*history, prepared.message], prepared.model_settings, prepared.parameters
    )
    try:
        context = await run.deps.capability.before_model_request(ctx, context)
    except SkipModelRequest as skip:
        return replace(prepared, answer=skip.response)
    except ModelRetry as retry:
        return replace(prepared, answer=ModelResponse([]), retry=retry.message)
    *earlier, newest = context.messages or [None]
    if not isinstance(newest, ModelRequest):
        raise UserError("The messages that a history processor or hook gives must end in a request")
    if newest is not prepared.message:
        newest = replace(newest, instructions=newest.instructions or prepared.message.instructions)
        newest = stamp_request(newest, run.state)
    unchanged = len(earlier) == len(history) and all(new is old for new, old in zip(earlier, history, strict=True))
    return PreparedRequest(
        newest,
        context.model_settings,
        context.model_request_parameters,
        model=context.model,
        history=prepared.history if unchanged else [message for message in earlier if message is not None],
    )


async def _merge_settings(ctx: RunContext[Any], layers: Sequence[AgentModelSettings[Any]]) -> ModelSettings | None:
    own = ctx.model.settings
    return merge_model_settings(
        own, await merged_settings(layers, replace(ctx, model_settings=own)) if layers else None
    )


async def _instruction_parts(run: RunState, ctx: RunContext[Any]) -> list[InstructionPart]:
    parts = await run.deps.instructions.parts(ctx)
    from_tools = await run.deps.tool_manager.get_instructions(ctx)
    return InstructionPart.sorted([*parts, *from_tools])


def _parameters(run: RunState, instruction_parts: list[InstructionPart]) -> ModelRequestParameters:
    schema = run.deps.output_schema
    definitions = run.deps.tool_manager.tool_defs
    return ModelRequestParameters(
        function_tools=[_with_wanted_return_schema(tool) for tool in definitions if tool.kind != "output"],
        output_tools=[definition for definition in definitions if definition.kind == "output"],
        output_mode=schema.mode,
        output_object=schema.object_definition,
        prompted_output_template=schema.prompted_template,
        allow_text_output=schema.text is not None or schema.mode in ("native", "prompted"),
        allow_image_output=schema.allows_image,
        instruction_parts=instruction_parts or None,
    )


async def _native_tools(run: RunState, ctx: RunContext[Any]) -> list[AbstractNativeTool]:
    chosen = [
        tool if isinstance(tool, AbstractNativeTool) else await call_user_function(tool, ctx)
        for tool in run.deps.native_tools
    ]
    return list({tool.unique_id: tool for tool in chosen if tool is not None}.values())


def _with_wanted_return_schema(definition: ToolDefinition) -> ToolDefinition:
    return definition if definition.include_return_schema else replace(definition, return_schema=None)


async def _check_counted_tokens(run: RunState, prepared: PreparedRequest) -> None:
    assert prepared.parameters is not None, "a request that was just prepared has parameters"
    messages = messages_to_send(run.deps.model, [*_earlier(run, prepared), prepared.message])
    counted = await run.deps.model.count_tokens(messages, prepared.model_settings, prepared.parameters)
    usage = copy(run.state.usage)
    usage.incr(counted)
    run.deps.usage_limits.check_before_request(usage)


async def system_prompt_parts(
    ctx: RunContext[Any],
    literals: Sequence[str],
    functions: Sequence[Callable[..., Any]],
    dynamic_functions: dict[str, Callable[..., Any]],
) -> list[SystemPromptPart]:
    """The system prompts of a new conversation; a dynamic one is kept even if it is empty for now."""
    parts = [SystemPromptPart(literal) for literal in literals]
    for function in functions:
        text = await call_with_optional_context(function, ctx)
        if function in dynamic_functions.values():
            parts.append(SystemPromptPart(text or "", dynamic_ref=dynamic_ref(function)))
        elif text:
            parts.append(SystemPromptPart(text))
    return parts


def dynamic_refs(history: Sequence[ModelMessage]) -> set[str]:
    """The functions whose system prompts stand in a history."""
    parts = (part for message in history if isinstance(message, ModelRequest) for part in message.parts)
    return {part.dynamic_ref for part in parts if isinstance(part, SystemPromptPart) and part.dynamic_ref}


async def dynamic_prompts(ctx: RunContext[Any], functions: dict[str, Callable[..., Any]]) -> dict[str, str]:
    """What dynamic system prompt functions, given by ref, say in this run."""
    return {ref: await call_with_optional_context(function, ctx) or "" for ref, function in functions.items()}


def with_dynamic_prompts(history: Sequence[ModelMessage], texts: dict[str, str]) -> list[ModelMessage]:
    """The history with these texts, given by ref, in its dynamic system prompts; no message is changed in place."""
    return [
        replace(message, parts=[_with_text(part, texts) for part in message.parts])
        if isinstance(message, ModelRequest) and texts.keys() & dynamic_refs([message])
        else message
        for message in history
    ]


def _with_text(part: ModelRequestPart, texts: dict[str, str]) -> ModelRequestPart:
    if isinstance(part, SystemPromptPart) and part.dynamic_ref in texts:
        return replace(part, content=texts[part.dynamic_ref])
    return part


def dynamic_ref(function: Callable[..., Any]) -> str:
    """How a system prompt part names the function that makes it."""
    return getattr(function, "__qualname__", None) or function_name(function)
