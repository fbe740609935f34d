"""Several capabilities as one."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from app.ai.callbacks import resolve
from app.ai.capabilities.abstract import AbstractCapability, AgentCapability, CapabilityFunc
from app.ai.capabilities.ordering import in_order
from app.ai.checks import each, expect
from app.ai.deferred import DeferredToolRequests, DeferredToolResults
from app.ai.run_context import AgentDepsT, RunContext

if TYPE_CHECKING:
    from app.ai.messages import AgentStreamEvent
    from app.ai.models.request_context import ModelRequestContext
    from app.ai.native_tools import AgentNativeTool
    from app.ai.tools import ToolDefinition
    from app.ai.toolsets import AbstractToolset


@dataclass
class DynamicCapability(AbstractCapability[AgentDepsT]):
    """A capability that a function chooses when a run starts."""

    capability_func: CapabilityFunc[AgentDepsT]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractCapability[AgentDepsT]:
        chosen = await resolve(self.capability_func(ctx))
        return AbstractCapability() if chosen is None else await chosen.for_run(ctx)


def as_capability(capability: AgentCapability[Any]) -> AbstractCapability[Any]:
    """A capability, also of a function that chooses one."""
    if isinstance(capability, AbstractCapability):
        return cast("AbstractCapability[Any]", capability)
    expect("capabilities", capability, "capabilities and functions that choose one", function=True)
    return DynamicCapability(capability)


def as_capabilities(capabilities: Sequence[AgentCapability[Any]] | None) -> list[AbstractCapability[Any]]:
    """The capabilities that an agent or a run is given, if any."""
    return [as_capability(capability) for capability in each("capabilities", capabilities, "capabilities")]


@dataclass
class CombinedCapability(AbstractCapability[AgentDepsT]):
    """Runs the hooks of its capabilities in their order."""

    capabilities: Sequence[AbstractCapability[AgentDepsT]] = field(default_factory=list[AbstractCapability[AgentDepsT]])

    def __post_init__(self) -> None:
        self.capabilities = in_order([*_flat(self.capabilities)])

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    def apply(self, visitor: Callable[[AbstractCapability[AgentDepsT]], None]) -> None:
        for capability in self.capabilities:
            capability.apply(visitor)

    def overrides(self, *hooks: str) -> bool:
        return any(capability.overrides(*hooks) for capability in self.capabilities)

    @property
    def has_wrap_node_run(self) -> bool:
        return any(capability.has_wrap_node_run for capability in self.capabilities)

    @property
    def has_wrap_run_event_stream(self) -> bool:
        return any(capability.has_wrap_run_event_stream for capability in self.capabilities)

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> CombinedCapability[AgentDepsT]:
        own = [await capability.for_run(ctx) for capability in self.capabilities]
        if all(new is old for new, old in zip(own, self.capabilities, strict=True)):
            return self
        if any(isinstance(old, DynamicCapability) for old in self.capabilities):
            return CombinedCapability(own)
        # In the order that they have: what refers to another one knows it by its old self.
        combined = copy(self)
        combined.capabilities = _flat(own)
        return combined

    def get_instructions(self) -> Any:
        from app.ai.capabilities.on_demand import instructions_of  # brings the messages of a run
        from app.ai.instructions import Instructions

        gathered = Instructions.of(*map(instructions_of, self.capabilities))
        return [*gathered.literals, *gathered.functions] or None

    def get_model_settings(self) -> Any:
        from app.ai.capabilities.on_demand import model_settings_of
        from app.ai.run_state import merged_settings  # brings all parts of a run

        layers = [layer for layer in map(model_settings_of, self.capabilities) if layer is not None]
        return partial(merged_settings, layers) if layers else None

    def get_toolset(self) -> AbstractToolset[AgentDepsT] | None:
        from app.ai.capabilities.on_demand import toolset_of
        from app.ai.toolsets import CombinedToolset  # they know of runs

        added = [toolset for toolset in map(toolset_of, self.capabilities) if toolset is not None]
        return CombinedToolset(added) if added else None

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        from app.ai.capabilities.on_demand import native_tools_of

        return [tool for capability in self.capabilities for tool in native_tools_of(capability)]

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        for capability in reversed(self.capabilities):
            toolset = capability.get_wrapper_toolset(toolset) or toolset
        return toolset

    async def prepare_tools(self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        for capability in self.capabilities:
            tool_defs = await capability.prepare_tools(ctx, tool_defs)
        return tool_defs

    async def prepare_output_tools(
        self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition]:
        for capability in self.capabilities:
            tool_defs = await capability.prepare_output_tools(ctx, tool_defs)
        return tool_defs

    async def before_run(self, ctx: RunContext[AgentDepsT]) -> None:
        for capability in self.capabilities:
            await capability.before_run(ctx)

    async def after_run(self, ctx: RunContext[AgentDepsT], *, result: Any) -> Any:
        return await self._after("after_run", ctx, "result", result)

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: Any) -> Any:
        for capability in reversed(self.capabilities):
            handler = partial(capability.wrap_run, ctx, handler=handler)
        return await handler()

    async def on_run_error(self, ctx: RunContext[AgentDepsT], *, error: BaseException) -> Any:
        return await self._recover("on_run_error", ctx, error)

    async def before_node_run(self, ctx: RunContext[AgentDepsT], *, node: Any) -> Any:
        return await self._before("before_node_run", ctx, "node", node)

    async def after_node_run(self, ctx: RunContext[AgentDepsT], *, node: Any, result: Any) -> Any:
        return await self._after("after_node_run", ctx, "result", result, node=node)

    async def wrap_node_run(self, ctx: RunContext[AgentDepsT], *, node: Any, handler: Any) -> Any:
        return await self._wrap("wrap_node_run", ctx, "node", handler)(node)

    async def on_node_run_error(self, ctx: RunContext[AgentDepsT], *, node: Any, error: Exception) -> Any:
        return await self._recover("on_node_run_error", ctx, error, node=node)

    def wrap_run_event_stream(
        self, ctx: RunContext[AgentDepsT], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        for capability in reversed(self.capabilities):
            stream = capability.wrap_run_event_stream(ctx, stream=stream)
        return stream

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        for capability in self.capabilities:
            request_context = await capability.before_model_request(ctx, request_context)
        return request_context

    async def after_model_request(self, ctx: RunContext[AgentDepsT], *, response: Any, **about: Any) -> Any:
        return await self._after("after_model_request", ctx, "response", response, **about)

    async def wrap_model_request(self, ctx: RunContext[AgentDepsT], *, request_context: Any, handler: Any) -> Any:
        return await self._wrap("wrap_model_request", ctx, "request_context", handler)(request_context)

    async def on_model_request_error(self, ctx: RunContext[AgentDepsT], *, error: Exception, **about: Any) -> Any:
        return await self._recover("on_model_request_error", ctx, error, **about)

    async def before_tool_validate(self, ctx: RunContext[AgentDepsT], *, args: Any, **about: Any) -> Any:
        return await self._before("before_tool_validate", ctx, "args", args, **about)

    async def after_tool_validate(self, ctx: RunContext[AgentDepsT], *, args: Any, **about: Any) -> Any:
        return await self._after("after_tool_validate", ctx, "args", args, **about)

    async def wrap_tool_validate(self, ctx: RunContext[AgentDepsT], *, args: Any, handler: Any, **about: Any) -> Any:
        return await self._wrap("wrap_tool_validate", ctx, "args", handler, **about)(args)

    async def on_tool_validate_error(self, ctx: RunContext[AgentDepsT], *, error: Exception, **about: Any) -> Any:
        return await self._recover("on_tool_validate_error", ctx, error, **about)

    async def before_tool_execute(self, ctx: RunContext[AgentDepsT], *, args: Any, **about: Any) -> Any:
        return await self._before("before_tool_execute", ctx, "args", args, **about)

    async def after_tool_execute(self, ctx: RunContext[AgentDepsT], *, result: Any, **about: Any) -> Any:
        return await self._after("after_tool_execute", ctx, "result", result, **about)

    async def wrap_tool_execute(self, ctx: RunContext[AgentDepsT], *, args: Any, handler: Any, **about: Any) -> Any:
        return await self._wrap("wrap_tool_execute", ctx, "args", handler, **about)(args)

    async def on_tool_execute_error(self, ctx: RunContext[AgentDepsT], *, error: Exception, **about: Any) -> Any:
        return await self._recover("on_tool_execute_error", ctx, error, **about)

    async def before_output_validate(self, ctx: RunContext[AgentDepsT], *, output: Any, **about: Any) -> Any:
        return await self._before("before_output_validate", ctx, "output", output, **about)

    async def after_output_validate(self, ctx: RunContext[AgentDepsT], *, output: Any, **about: Any) -> Any:
        return await self._after("after_output_validate", ctx, "output", output, **about)

    async def wrap_output_validate(
        self, ctx: RunContext[AgentDepsT], *, output: Any, handler: Any, **about: Any
    ) -> Any:
        return await self._wrap("wrap_output_validate", ctx, "output", handler, **about)(output)

    async def on_output_validate_error(self, ctx: RunContext[AgentDepsT], *, error: Exception, **about: Any) -> Any:
        return await self._recover("on_output_validate_error", ctx, error, **about)

    async def before_output_process(self, ctx: RunContext[AgentDepsT], *, output: Any, **about: Any) -> Any:
        return await self._before("before_output_process", ctx, "output", output, **about)

    async def after_output_process(self, ctx: RunContext[AgentDepsT], *, output: Any, **about: Any) -> Any:
        return await self._after("after_output_process", ctx, "output", output, **about)

    async def wrap_output_process(self, ctx: RunContext[AgentDepsT], *, output: Any, handler: Any, **about: Any) -> Any:
        return await self._wrap("wrap_output_process", ctx, "output", handler, **about)(output)

    async def on_output_process_error(self, ctx: RunContext[AgentDepsT], *, error: Exception, **about: Any) -> Any:
        return await self._recover("on_output_process_error", ctx, error, **about)

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

    async def _before(self, hook: str, ctx: RunContext[Any], name: str, value: Any, **about: Any) -> Any:
        for capability in self.capabilities:
            value = await getattr(capability, hook)(ctx, **about, **{name: value})
        return value

    async def _after(self, hook: str, ctx: RunContext[Any], name: str, value: Any, **about: Any) -> Any:
        for capability in reversed(self.capabilities):
            value = await getattr(capability, hook)(ctx, **about, **{name: value})
        return value

    def _wrap(self, hook: str, ctx: RunContext[Any], name: str, handler: Any, **about: Any) -> Any:
        for capability in reversed(self.capabilities):
            handler = partial(_wrapped, getattr(capability, hook), ctx, name, handler, about)
        return handler

    async def _recover(self, hook: str, ctx: RunContext[Any], error: BaseException, **about: Any) -> Any:
        """The first answer that a hook has for an error; what a hook raises instead goes to the next one."""
        for capability in reversed(self.capabilities):
            try:
                return await getattr(capability, hook)(ctx, **about, error=error)
            except Exception as other:
                error = other
        raise error


async def _wrapped(
    hook: Callable[..., Awaitable[Any]], ctx: RunContext[Any], name: str, handler: Any, about: Any, value: Any
) -> Any:
    return await hook(ctx, **about, **{name: value}, handler=handler)


def _flat(capabilities: Sequence[AbstractCapability[AgentDepsT]]) -> Sequence[AbstractCapability[AgentDepsT]]:
    flat: list[AbstractCapability[AgentDepsT]] = []
    for capability in capabilities:
        flat += _flat(capability.capabilities) if isinstance(capability, CombinedCapability) else [capability]
    return flat
