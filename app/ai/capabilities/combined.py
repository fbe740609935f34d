"""Several capabilities as one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from app.ai.callbacks import resolve
from app.ai.capabilities.abstract import AbstractCapability, AgentCapability, CapabilityFunc
from app.ai.deferred import DeferredToolRequests, DeferredToolResults
from app.ai.exceptions import (
    ApprovalRequired,
    CallDeferred,
    ModelRetry,
    SkipModelRequest,
    SkipToolExecution,
    ToolRetryError,
)
from app.ai.run_context import AgentDepsT, RunContext

if TYPE_CHECKING:
    from app.ai.messages import ModelResponse, ToolCallPart
    from app.ai.models.request_context import ModelRequestContext
    from app.ai.run import AgentRunResult
    from app.ai.tools import ToolDefinition


@dataclass
class ChosenCapability(AbstractCapability[AgentDepsT]):
    """A capability that a function chooses when a run starts."""

    choose: CapabilityFunc[AgentDepsT]

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractCapability[AgentDepsT]:
        chosen = await resolve(self.choose(ctx))
        return AbstractCapability() if chosen is None else await chosen.for_run(ctx)


def as_capability(capability: AgentCapability[Any]) -> AbstractCapability[Any]:
    """A capability, also of a function that chooses one."""
    if isinstance(capability, AbstractCapability):
        return cast("AbstractCapability[Any]", capability)
    return ChosenCapability(capability)


@dataclass
class CombinedCapability(AbstractCapability[AgentDepsT]):
    """Runs the hooks of its capabilities in their order."""

    capabilities: Sequence[AbstractCapability[AgentDepsT]] = field(default_factory=list[AbstractCapability[AgentDepsT]])

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> CombinedCapability[AgentDepsT]:
        return CombinedCapability([await capability.for_run(ctx) for capability in self.capabilities])

    def overrides(self, hook: str) -> bool:
        """Whether any capability has this hook."""
        own = getattr(AbstractCapability, hook)
        return any(getattr(type(capability), hook) is not own for capability in self.capabilities)

    async def prepare_tools(self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        for capability in self.capabilities:
            tool_defs = await capability.prepare_tools(ctx, tool_defs) or []
        return tool_defs

    async def prepare_output_tools(
        self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition]:
        for capability in self.capabilities:
            tool_defs = await capability.prepare_output_tools(ctx, tool_defs) or []
        return tool_defs

    async def run(
        self, ctx: RunContext[AgentDepsT], body: Callable[[], Awaitable[AgentRunResult[Any]]]
    ) -> AgentRunResult[Any]:
        """A whole run, with its hooks."""
        for capability in self.capabilities:
            await capability.before_run(ctx)
        handler = body
        for capability in reversed(self.capabilities):
            handler = partial(capability.wrap_run, ctx, handler=handler)
        try:
            result = await handler()
        except Exception as error:
            result = await self._recover(error, "on_run_error", ctx)
        for capability in reversed(self.capabilities):
            result = await capability.after_run(ctx, result=result)
        return result

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        for capability in self.capabilities:
            request_context = await capability.before_model_request(ctx, request_context)
        return request_context

    async def request_model(
        self,
        ctx: RunContext[AgentDepsT],
        request_context: ModelRequestContext,
        ask: Callable[[ModelRequestContext], Awaitable[ModelResponse]],
    ) -> tuple[ModelResponse, ModelRetry | None]:
        """A request with the hooks around and after it. With `ModelRetry`, the response is not good enough."""
        answered: list[ModelResponse] = []

        async def innermost(context: ModelRequestContext) -> ModelResponse:
            answered.append(await ask(context))
            return answered[-1]

        try:
            try:
                response = await self._wrapped_request(ctx, request_context, innermost)
            except SkipModelRequest as skip:
                return skip.response, None
            except ModelRetry:
                raise
            except Exception as error:
                response = await self._recover(error, "on_model_request_error", ctx, request_context=request_context)
            answered.append(response)
            for capability in reversed(self.capabilities):
                response = await capability.after_model_request(ctx, request_context=request_context, response=response)
        except ModelRetry as retry:
            if not answered:
                raise
            return answered[-1], retry
        return response, None

    async def _wrapped_request(
        self,
        ctx: RunContext[AgentDepsT],
        request_context: ModelRequestContext,
        handler: Callable[[ModelRequestContext], Awaitable[ModelResponse]],
    ) -> ModelResponse:
        for capability in reversed(self.capabilities):
            handler = _with_request_hook(capability, ctx, handler)
        return await handler(request_context)

    async def execute_tool(
        self,
        ctx: RunContext[AgentDepsT],
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        execute: Callable[[dict[str, Any]], Awaitable[Any]],
    ) -> Any:
        """A call of a tool, with its hooks."""
        about: dict[str, Any] = {"call": call, "tool_def": tool_def}
        try:
            for capability in self.capabilities:
                args = await capability.before_tool_execute(ctx, **about, args=args)
            handler = execute
            for capability in reversed(self.capabilities):
                handler = _with_tool_hook(capability, ctx, about, handler)
            try:
                result = await handler(args)
            except (ModelRetry, ToolRetryError, CallDeferred, ApprovalRequired, SkipToolExecution):
                raise
            except Exception as error:
                result = await self._recover(error, "on_tool_execute_error", ctx, **about, args=args)
        except SkipToolExecution as skip:
            return skip.result
        for capability in reversed(self.capabilities):
            result = await capability.after_tool_execute(ctx, **about, args=args, result=result)
        return result

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[AgentDepsT], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        gathered = DeferredToolResults()
        open_requests: DeferredToolRequests | None = requests
        for capability in self.capabilities:
            if open_requests is None:
                break
            results = await capability.handle_deferred_tool_calls(ctx, requests=open_requests)
            if results is not None:
                gathered.update(results)
                open_requests = open_requests.remaining(results)
        return gathered if gathered.calls or gathered.approvals else None

    async def _recover(self, error: Exception, hook: str, ctx: RunContext[AgentDepsT], **about: Any) -> Any:
        """The first answer that a hook has for an error; what a hook raises instead goes to the next one."""
        for capability in reversed(self.capabilities):
            try:
                return await getattr(capability, hook)(ctx, **about, error=error)
            except Exception as other:
                error = other
        raise error


def _with_request_hook(
    capability: AbstractCapability[Any],
    ctx: RunContext[Any],
    handler: Callable[[ModelRequestContext], Awaitable[ModelResponse]],
) -> Callable[[ModelRequestContext], Awaitable[ModelResponse]]:
    async def wrapped(context: ModelRequestContext) -> ModelResponse:
        return await capability.wrap_model_request(ctx, request_context=context, handler=handler)

    return wrapped


def _with_tool_hook(
    capability: AbstractCapability[Any],
    ctx: RunContext[Any],
    about: dict[str, Any],
    handler: Callable[[dict[str, Any]], Awaitable[Any]],
) -> Callable[[dict[str, Any]], Awaitable[Any]]:
    async def wrapped(args: dict[str, Any]) -> Any:
        return await capability.wrap_tool_execute(ctx, **about, args=args, handler=handler)

    return wrapped
