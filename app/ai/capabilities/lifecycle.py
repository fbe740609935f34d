"""The points of a run at which hooks stand: before, around, on error, after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from app.ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipModelRequest,
    SkipToolExecution,
    SkipToolValidation,
    ToolRetryError,
)
from app.ai.messages import ModelResponse

if TYPE_CHECKING:
    from app.ai.capabilities.combined import CombinedCapability
    from app.ai.messages import ToolCallPart
    from app.ai.models.request_context import ModelRequestContext
    from app.ai.output import OutputContext
    from app.ai.run_context import RunContext
    from app.ai.tools import ToolDefinition

_SIGNALS: Final = (ModelRetry, ToolRetryError, CallDeferred, ApprovalRequired, SkipToolExecution)
"""What tools and output functions raise to say something, which is no error."""


def _hooks(point: str) -> tuple[str, ...]:
    return f"before_{point}", f"after_{point}", f"wrap_{point}", f"on_{point}_error"


NODE_HOOKS: Final = _hooks("node_run")
TOOL_VALIDATE_HOOKS: Final = _hooks("tool_validate")
TOOL_EXECUTE_HOOKS: Final = _hooks("tool_execute")
OUTPUT_VALIDATE_HOOKS: Final = _hooks("output_validate")
OUTPUT_PROCESS_HOOKS: Final = _hooks("output_process")


async def whole_run(capability: CombinedCapability[Any], ctx: RunContext[Any], body: Any) -> Any:
    """A whole run, with its hooks."""
    await capability.before_run(ctx)
    try:
        result = await capability.wrap_run(ctx, handler=body)
    except Exception as error:
        result = await capability.on_run_error(ctx, error=error)
    return await capability.after_run(ctx, result=result)


async def node_run(capability: CombinedCapability[Any], ctx: RunContext[Any], node: Any, body: Any) -> Any:
    """One node, with its hooks."""
    node = await capability.before_node_run(ctx, node=node)
    try:
        result = await capability.wrap_node_run(ctx, node=node, handler=body)
    except Exception as error:
        result = await capability.on_node_run_error(ctx, node=node, error=error)
    return await capability.after_node_run(ctx, node=node, result=result)


async def model_request(
    capability: CombinedCapability[Any],
    ctx: RunContext[Any],
    request_context: ModelRequestContext,
    ask: Callable[[ModelRequestContext], Awaitable[ModelResponse]],
    answer: ModelResponse | None = None,
) -> tuple[ModelResponse, ModelRetry | None]:
    """A request with the hooks around and after it. With `ModelRetry`, the response is not good enough, or empty.

    `answer` is what a hook before the request gave in the model's place.
    """
    answered: list[ModelResponse] = []

    async def innermost(context: ModelRequestContext) -> ModelResponse:
        answered.append(await ask(context))
        return answered[-1]

    try:
        try:
            response = answer or await capability.wrap_model_request(
                ctx, request_context=request_context, handler=innermost
            )
        except SkipModelRequest as skip:
            response = skip.response
        except ModelRetry:
            raise
        except Exception as error:
            response = await capability.on_model_request_error(ctx, request_context=request_context, error=error)
        answered.append(response)
        response = await capability.after_model_request(ctx, request_context=request_context, response=response)
    except ModelRetry as retry:
        return answered[-1] if answered else ModelResponse([]), retry
    return response, None


async def tool_validate(
    capability: CombinedCapability[Any],
    ctx: RunContext[Any],
    call: ToolCallPart,
    tool_def: ToolDefinition,
    validate: Callable[[Any], Awaitable[dict[str, Any]]],
) -> dict[str, Any]:
    """The valid arguments of a call, with the hooks. Raises `ValidationError` or `ModelRetry`."""
    about: dict[str, Any] = {"call": call, "tool_def": tool_def}
    try:
        raw = await capability.before_tool_validate(ctx, **about, args=call.args if call.args is not None else {})
        try:
            args = await capability.wrap_tool_validate(ctx, **about, args=raw, handler=validate)
        except (ValidationError, ModelRetry) as error:
            args = await capability.on_tool_validate_error(ctx, **about, args=raw, error=error)
    except SkipToolValidation as skip:
        args = skip.validated_args
    return await capability.after_tool_validate(ctx, **about, args=args)


async def tool_execute(
    capability: CombinedCapability[Any],
    ctx: RunContext[Any],
    call: ToolCallPart,
    tool_def: ToolDefinition,
    args: dict[str, Any],
    execute: Callable[[dict[str, Any]], Awaitable[Any]],
) -> Any:
    """The result of a call, with the hooks."""
    about: dict[str, Any] = {"call": call, "tool_def": tool_def}
    try:
        args = await capability.before_tool_execute(ctx, **about, args=args)
        try:
            result = await capability.wrap_tool_execute(ctx, **about, args=args, handler=execute)
        except _SIGNALS:
            raise
        except Exception as error:
            result = await capability.on_tool_execute_error(ctx, **about, args=args, error=error)
    except SkipToolExecution as skip:
        result = skip.result
    return await capability.after_tool_execute(ctx, **about, args=args, result=result)


async def output_validate(
    capability: CombinedCapability[Any],
    ctx: RunContext[Any],
    output_context: OutputContext,
    output: Any,
    validate: Callable[[Any], Awaitable[Any]],
) -> Any:
    """The valid output, with the hooks. Raises `ValidationError` or `ModelRetry`."""
    about: dict[str, Any] = {"output_context": output_context}
    output = await capability.before_output_validate(ctx, **about, output=output)
    try:
        valid = await capability.wrap_output_validate(ctx, **about, output=output, handler=validate)
    except (ValidationError, ModelRetry) as error:
        valid = await capability.on_output_validate_error(ctx, **about, output=output, error=error)
    return await capability.after_output_validate(ctx, **about, output=valid)


async def output_process(
    capability: CombinedCapability[Any],
    ctx: RunContext[Any],
    output_context: OutputContext,
    output: Any,
    process: Callable[[Any], Awaitable[Any]],
) -> Any:
    """What output functions and validators make of an output, with the hooks. Raises `ModelRetry`."""
    about: dict[str, Any] = {"output_context": output_context}
    output = await capability.before_output_process(ctx, **about, output=output)
    try:
        result = await capability.wrap_output_process(ctx, **about, output=output, handler=process)
    except _SIGNALS:
        raise
    except Exception as error:
        result = await capability.on_output_process_error(ctx, **about, output=output, error=error)
    return await capability.after_output_process(ctx, **about, output=result)
