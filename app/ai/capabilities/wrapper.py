"""A capability around another one."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.run_context import AgentDepsT, RunContext

if TYPE_CHECKING:
    from app.ai.capabilities.ordering import CapabilityOrdering
    from app.ai.messages import AgentStreamEvent
    from app.ai.native_tools import AgentNativeTool
    from app.ai.toolsets import AbstractToolset, AgentToolset

_HOOKS: Final = tuple(
    name
    for name in vars(AbstractCapability)
    if name.startswith(("before_", "after_", "wrap_", "on_", "prepare_", "handle_"))
)


@dataclass
class WrapperCapability(AbstractCapability[AgentDepsT]):
    """Passes everything on to `wrapped`; override what shall differ."""

    wrapped: AbstractCapability[AgentDepsT]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.id is None:
            self.id, self.description = self.wrapped.id, self.wrapped.description
            self.defer_loading = self.wrapped.defer_loading

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None if cls is WrapperCapability else cls.__name__

    def apply(self, visitor: Callable[[AbstractCapability[AgentDepsT]], None]) -> None:
        self.wrapped.apply(visitor)

    def get_ordering(self) -> CapabilityOrdering | None:
        return self.wrapped.get_ordering()

    @property
    def has_wrap_node_run(self) -> bool:
        return self._has_own("wrap_node_run") or self.wrapped.has_wrap_node_run

    @property
    def has_wrap_run_event_stream(self) -> bool:
        return self._has_own("wrap_run_event_stream") or self.wrapped.has_wrap_run_event_stream

    def overrides(self, *hooks: str) -> bool:
        return any(map(self._has_own, hooks)) or self.wrapped.overrides(*hooks)

    def _has_own(self, hook: str) -> bool:
        return getattr(type(self), hook) is not getattr(WrapperCapability, hook)

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> Self:
        wrapped = await self.wrapped.for_run(ctx)
        if wrapped is self.wrapped:
            return self
        # A copy, because subclasses may have constructors of their own.
        another = copy(self)
        another.wrapped = wrapped
        return another

    def get_instructions(self) -> Any:
        return self.wrapped.get_instructions()

    def get_model_settings(self) -> Any:
        return self.wrapped.get_model_settings()

    def get_toolset(self) -> AgentToolset[AgentDepsT] | None:
        return self.wrapped.get_toolset()

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        return self.wrapped.get_native_tools()

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT] | None:
        return self.wrapped.get_wrapper_toolset(toolset)

    def wrap_run_event_stream(
        self, ctx: RunContext[AgentDepsT], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        return self.wrapped.wrap_run_event_stream(ctx, stream=stream)


def _passed_on(name: str) -> Callable[..., Any]:
    async def hook(self: WrapperCapability[Any], *args: Any, **kwargs: Any) -> Any:
        return await getattr(self.wrapped, name)(*args, **kwargs)

    hook.__name__ = name
    return hook


for _name in _HOOKS:
    if _name != "wrap_run_event_stream":
        setattr(WrapperCapability, _name, _passed_on(_name))
