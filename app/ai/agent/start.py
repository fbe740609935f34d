"""Starting a run: everything that the agent, the overrides and the arguments say is settled here, once."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.ai.agent.budgets import output_budget_of_run
from app.ai.agent.options import OverrideOptions, RunOptions
from app.ai.agent.run_spec import run_options_with_spec
from app.ai.callbacks import resolve
from app.ai.capabilities.combined import CombinedCapability, as_capabilities
from app.ai.capabilities.hooked import with_hooks
from app.ai.capabilities.instrumentation import Instrumentation
from app.ai.capabilities.lifecycle import TOOL_EXECUTE_HOOKS
from app.ai.capabilities.on_demand import (
    by_id,
    instructions_of,
    model_settings_of,
    native_tools_of,
    toolset_of,
    with_loader,
)
from app.ai.capabilities.tool_search import ToolSearch
from app.ai.capture import take_captured_messages
from app.ai.checks import DICT_OR_FUNCTION, each, expect
from app.ai.concurrency import get_concurrency_context
from app.ai.exceptions import UserError
from app.ai.graph import GraphRunContext
from app.ai.history import tidy_history
from app.ai.ids import uuid7
from app.ai.instructions import AgentInstructions, Instructions
from app.ai.messages import (
    MULTI_MODAL_CONTENT_TYPES,
    CachePoint,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextContent,
    UserContent,
)
from app.ai.models import Model, infer_model
from app.ai.native_tools import ToolSearchTool
from app.ai.output import OutputSpec
from app.ai.output_schema import OutputSchema, output_schema
from app.ai.pending import PendingMessages
from app.ai.prompt_node import UserPromptNode
from app.ai.run import AgentRun
from app.ai.run_hooks import run_hooks
from app.ai.run_state import AgentModelSettings, GraphAgentDeps, GraphAgentState, RunState, build_run_context
from app.ai.settings import ToolChoice
from app.ai.steps import Steps, current_steps
from app.ai.tool_manager import ToolManager
from app.ai.toolsets import AbstractToolset, CombinedToolset, PreparedToolset, as_toolsets
from app.ai.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    from app.ai.agent.agent import Agent
    from app.ai.instrumentation.settings import InstrumentationSettings


_NO_ENQUEUE = (
    "A durable run cannot enqueue messages from inside a recorded step: after a crash they would be lost. "
    "Return what the model shall see as the result of the tool instead"
)


@asynccontextmanager
async def start_run(
    agent: Agent[Any, Any],
    user_prompt: str | Sequence[UserContent] | None,
    output_type: OutputSpec[Any] | None,
    options: RunOptions[Any],
) -> AsyncGenerator[AgentRun[Any, Any]]:
    """Start a run of `agent`, once it is its turn, and keep its toolsets open until the block ends."""
    _check(user_prompt, options)
    options = run_options_with_spec(options, agent.deps_type)
    async with (
        get_concurrency_context(agent.concurrency_limiter, f"agent:{agent.name or 'agent'}"),
        _started(agent, user_prompt, output_type, options) as run,
    ):
        yield run


@asynccontextmanager
async def _started(
    agent: Agent[Any, Any],
    user_prompt: str | Sequence[UserContent] | None,
    output_type: OutputSpec[Any] | None,
    options: RunOptions[Any],
) -> AsyncGenerator[AgentRun[Any, Any]]:
    steps = current_steps.get()
    state = _state(steps, options)
    deps = _deps(agent, steps, output_type, options)
    deps.prompt = user_prompt
    run: RunState = GraphRunContext(state=state, deps=deps)

    async def refresh_metadata() -> None:
        state.metadata = await _metadata(agent, run, options)

    await refresh_metadata()
    await _settle_capabilities(agent, run, options)
    async with await _run_toolset(agent, run, options) as toolset:
        deps.tool_manager = replace(deps.tool_manager, toolset=toolset, capability=deps.capability)
        first = UserPromptNode[Any, Any](
            user_prompt,
            deferred_tool_results=options.get("deferred_tool_results"),
            instructions_functions=list(deps.instructions.functions),
            system_prompts=agent.system_prompts,
            system_prompt_functions=agent.system_prompt_functions,
            system_prompt_dynamic_functions=agent.dynamic_prompt_functions,
        )
        started = AgentRun[Any, Any](run, first, refresh_metadata)
        with _observed(started, deps.instrumentation):
            async with run_hooks(started):
                yield started


def _observed(run: AgentRun[Any, Any], settings: InstrumentationSettings | None) -> AbstractContextManager[None]:
    if settings is None:
        return nullcontext()
    from app.ai.instrumentation.runs import run_span  # brings OpenTelemetry, which most programs do without

    return run_span(run, settings)


def _check(user_prompt: object, options: RunOptions[Any]) -> None:
    if unknown := sorted(options.keys() - RunOptions.__annotations__.keys()):
        raise TypeError(f"a run has no option {', '.join(map(repr, unknown))}")
    expect("usage_limits", options.get("usage_limits"), "UsageLimits", UsageLimits, none=True)
    expect("usage", options.get("usage"), "a RunUsage", RunUsage, none=True)
    expect("conversation_id", options.get("conversation_id"), "a text", str, none=True)
    for option in ("toolsets", "capabilities"):
        each(option, options.get(option), option)
    expect("user_prompt", user_prompt, "a text, or a list of texts and media", Sequence, none=True)
    if not isinstance(user_prompt, str):
        for item in each("user_prompt", user_prompt, "texts and media"):
            expect("user_prompt", item, "texts and media", str, TextContent, CachePoint, *MULTI_MODAL_CONTENT_TYPES)


def _state(steps: Steps, options: RunOptions[Any]) -> GraphAgentState:
    history = each("message_history", options.get("message_history"), "messages")
    for message in history:
        expect("message_history", message, "messages", ModelRequest, ModelResponse)
    messages = take_captured_messages()
    messages.extend(tidy_history(history))
    return GraphAgentState(
        run_id=steps.run_id or str(uuid7()),
        conversation_id=_conversation_id(options.get("conversation_id"), messages),
        message_history=messages,
        usage=_or_default(options.get("usage"), RunUsage),
        pending=PendingMessages(refusal=_NO_ENQUEUE if steps.records else None),
    )


def _or_default(value: Any, default: Any) -> Any:
    # A usage that counted nothing yet must stay the caller's object, so truth will not do.
    return default() if value is None else value


def _conversation_id(given: str | None, history: Sequence[ModelMessage]) -> str:
    if given is not None and given != "new":
        return given
    if given is None:
        for message in reversed(history):
            if message.conversation_id:
                return message.conversation_id
    return str(uuid7())


def _deps(
    agent: Agent[Any, Any], steps: Steps, output_type: OutputSpec[Any] | None, options: RunOptions[Any]
) -> GraphAgentDeps[Any, Any]:
    overrides = agent.overrides
    instrumentation = agent.instrumentation_with(options.get("capabilities") or ())
    output_retries = output_budget_of_run(overrides.get("retries", options.get("retries")), agent.output_retries)
    return GraphAgentDeps(
        user_deps=overrides.get("deps", options.get("deps")),
        agent=agent,
        model=_model(agent, options, overrides, instrumentation),
        model_settings=_settings_layers(agent, options, overrides),
        usage_limits=_or_default(options.get("usage_limits"), UsageLimits),
        max_output_retries=output_retries,
        end_strategy=agent.end_strategy,
        prompt=None,
        instructions=_instructions(agent, options, overrides),
        output_schema=_output_schema(agent, output_type, output_retries),
        output_validators=agent.output_validators,
        validation_context=agent.validation_context,
        tool_manager=ToolManager(toolset=CombinedToolset([]), default_max_retries=agent.tool_retries),
        steps=steps,
        native_tools=overrides.get("native_tools", agent.native_tools),
        instrumentation=instrumentation,
    )


async def _settle_capabilities(agent: Agent[Any, Any], run: RunState, options: RunOptions[Any]) -> None:
    """Let the capabilities of the run add their instructions and settings."""
    deps, overrides = run.deps, agent.overrides
    extra = as_capabilities(options.get("capabilities"))
    configured = CombinedCapability[Any]([*agent.root_capability.capabilities, *extra])
    if configured.capabilities:
        deps.capability = await configured.for_run(build_run_context(run))
    added = deps.capability.capabilities
    deps.capabilities = by_id(added)
    if "instructions" not in overrides:
        deps.instructions = _instructions(agent, options, overrides, list(map(instructions_of, added)))
    if "native_tools" not in overrides:
        deps.native_tools = [*agent.native_tools, *(tool for item in added for tool in native_tools_of(item))]
    deps.model_settings = _settings_layers(agent, options, overrides, list(map(model_settings_of, added)))
    chosen = next((item.settings for item in added if isinstance(item, Instrumentation)), None)
    if deps.instrumentation is None and chosen is not None:
        # A function of the run chose it; others are known before.
        deps.instrumentation, deps.model = chosen, _instrumented(deps.model, chosen)


def _model(
    agent: Agent[Any, Any],
    options: RunOptions[Any],
    overrides: OverrideOptions[Any],
    instrumentation: InstrumentationSettings | None,
) -> Model:
    model = overrides.get("model") or options.get("model") or agent.model
    if model is None:
        raise UserError("The agent has no model: give one to the agent, to the run or to `agent.override(model=...)`")
    resolved = infer_model(model)
    if model is agent.model:
        # Resolved by name at the first run; later runs share its connections.
        agent.model = resolved
    return resolved if instrumentation is None else _instrumented(resolved, instrumentation)


def _instrumented(model: Model, settings: InstrumentationSettings) -> Model:
    from app.ai.models.instrumented import instrument_model  # brings OpenTelemetry

    return instrument_model(model, settings)


def _settings_layers(
    agent: Agent[Any, Any],
    options: RunOptions[Any],
    overrides: OverrideOptions[Any],
    added: Sequence[AgentModelSettings[Any] | None] = (),
) -> list[AgentModelSettings[Any]]:
    if "model_settings" in overrides:
        layers = [overrides["model_settings"], *added]
    else:
        layers = [agent.model_settings, *added, options.get("model_settings")]
    for layer in layers:
        expect("model_settings", layer, DICT_OR_FUNCTION, dict, function=True, none=True)
        choice: ToolChoice = None if layer is None or callable(layer) else layer.get("tool_choice")
        if choice == "required" or isinstance(choice, list):
            raise UserError(
                "A fixed tool_choice of 'required' or a list of tools would let no run end; "
                "use ToolOrOutput(function_tools=[...]), or a function that decides for each request"
            )
    return [layer for layer in layers if layer is not None]


def _instructions(
    agent: Agent[Any, Any],
    options: RunOptions[Any],
    overrides: OverrideOptions[Any],
    added: Sequence[AgentInstructions[Any]] = (),
) -> Instructions:
    if "instructions" in overrides:
        return Instructions.of(overrides["instructions"])
    own, extra = agent.own_instructions, Instructions.of(*added, options.get("instructions"))
    return Instructions([*own.literals, *extra.literals], [*own.functions, *extra.functions])


def _output_schema(
    agent: Agent[Any, Any], output_type: OutputSpec[Any] | None, output_retries: int
) -> OutputSchema[Any]:
    if output_type is not None and agent.output_validators:
        raise UserError("A run cannot have an output_type of its own when the agent has output validators")
    schema = agent.output_schema if output_type is None else output_schema(output_type)
    return replace(schema, toolset=schema.toolset and schema.toolset.with_max_retries(output_retries))


async def _metadata(agent: Agent[Any, Any], run: RunState, options: RunOptions[Any]) -> dict[str, Any] | None:
    overrides = agent.overrides
    layers = [overrides["metadata"]] if "metadata" in overrides else [agent.metadata, options.get("metadata")]
    merged: dict[str, Any] = {}
    ctx = build_run_context(run)
    for layer in layers:
        expect("metadata", layer, DICT_OR_FUNCTION, dict, function=True, none=True)
        merged |= (await resolve(layer(ctx)) if callable(layer) else layer) or {}
    return None if all(layer is None for layer in layers) else merged


async def _run_toolset(agent: Agent[Any, Any], run: RunState, options: RunOptions[Any]) -> AbstractToolset[Any]:
    steps, capability = run.deps.steps, run.deps.capability
    given = as_toolsets(options.get("toolsets"))
    extra = [] if "toolsets" in agent.overrides else [*_added_toolsets(agent, run), *given]
    gone = agent.capabilities.toolsets_without(capability.capabilities)
    own = [toolset for toolset in agent.toolsets if not any(toolset is other for other in gone)]
    combined: AbstractToolset[Any] = CombinedToolset([*own, *extra])
    searchable = _with_search(capability.get_wrapper_toolset(combined), run)
    toolset = await with_loader(searchable, run.deps.capabilities).for_run(build_run_context(run))
    if capability.overrides(*TOOL_EXECUTE_HOOKS):
        toolset = with_hooks(toolset, capability, recorded=steps.records)
    toolset = steps.wrap_toolset(toolset)
    if (settings := run.deps.instrumentation) is not None:
        from app.ai.instrumentation.toolset import InstrumentedToolset  # brings OpenTelemetry

        toolset = InstrumentedToolset(toolset, settings)
    if capability.overrides("prepare_tools"):
        toolset = PreparedToolset(toolset, capability.prepare_tools)
    output_tools: AbstractToolset[Any] | None = run.deps.output_schema.toolset
    if output_tools and capability.overrides("prepare_output_tools"):
        output_tools = PreparedToolset(output_tools, capability.prepare_output_tools)
    return CombinedToolset([output_tools, toolset]) if output_tools else toolset


def _with_search(toolset: AbstractToolset[Any], run: RunState) -> AbstractToolset[Any]:
    if any(isinstance(tool, ToolSearchTool) for tool in run.deps.native_tools):
        return toolset  # the provider searches
    chosen = (item for item in run.deps.capability.capabilities if isinstance(item, ToolSearch))
    return next(chosen, ToolSearch[Any]()).around(toolset)


def _added_toolsets(agent: Agent[Any, Any], run: RunState) -> list[AbstractToolset[Any]]:
    """The toolsets of capabilities that are not known before the run."""
    known = agent.root_capability.capabilities
    fresh = [item for item in run.deps.capability.capabilities if not any(item is other for other in known)]
    return [toolset for toolset in map(toolset_of, fresh) if toolset is not None]
