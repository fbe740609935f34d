"""What every toolset can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeAlias

from app.ai.messages import InstructionPart
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import ToolDefinition

if TYPE_CHECKING:
    from app.ai.toolsets.approval_required import ApprovalRequiredToolset
    from app.ai.toolsets.deferred_loading import DeferredLoadingToolset
    from app.ai.toolsets.filtered import FilteredToolset
    from app.ai.toolsets.include_return_schemas import IncludeReturnSchemasToolset
    from app.ai.toolsets.prefixed import PrefixedToolset
    from app.ai.toolsets.prepared import PreparedToolset
    from app.ai.toolsets.renamed import RenamedToolset
    from app.ai.toolsets.set_metadata import SetMetadataToolset


ToolsetInstructions: TypeAlias = str | InstructionPart | Sequence[str | InstructionPart] | None
"""What a toolset wants the model to know."""


class SchemaValidatorProt(Protocol):
    """What validates the arguments of a call: pydantic's `SchemaValidator`, or anything that looks like it."""

    def validate_json(
        self,
        input: str | bytes | bytearray,
        /,
        *,
        allow_partial: bool | Literal["off", "on", "trailing-strings"] = False,
        context: Any | None = None,
    ) -> Any: ...

    def validate_python(
        self,
        input: Any,
        /,
        *,
        allow_partial: bool | Literal["off", "on", "trailing-strings"] = False,
        context: Any | None = None,
    ) -> Any: ...


@dataclass(kw_only=True)
class ToolsetTool(Generic[AgentDepsT]):
    """A tool as one step of a run knows it."""

    toolset: AbstractToolset[AgentDepsT]
    """The toolset that answers a call; wrappers put themselves here."""
    tool_def: ToolDefinition
    """How the model sees the tool."""
    max_retries: int
    """How often a failing call may be tried again in a row."""
    args_validator: SchemaValidatorProt
    """Validates the arguments before the call."""
    args_validator_func: Callable[..., Awaitable[None] | None] | None = None
    """Looks at the validated arguments; takes the context first and may raise `ModelRetry`."""
    idempotent: bool = False
    """Whether a call whose outcome is unknown may simply be made again."""


class AbstractToolset(ABC, Generic[AgentDepsT]):
    """A collection of tools that a run can list and call."""

    @property
    @abstractmethod
    def id(self) -> str | None:
        """A name that is unique among the toolsets of an agent; durable runs need one on each leaf."""
        raise NotImplementedError

    @property
    def label(self) -> str:
        """How errors name this toolset."""
        name = type(self).__name__
        return f"{name} {self.id!r}" if self.id else name

    @property
    def tool_name_conflict_hint(self) -> str:
        """What to do about a tool name that another toolset also uses."""
        return "Rename the tool, or give this toolset's tools a prefix with `toolset.prefixed(...)`."

    async def __aenter__(self) -> Self:
        """Open what the toolset needs; may be entered several times."""
        return self

    async def __aexit__(self, *args: Any) -> bool | None:
        """Close it again, once it has been left as often as it was entered."""
        return None

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        """The toolset for one run: itself, or a copy with state of its own. Called before the toolset is entered."""
        return self

    async def for_run_step(self, ctx: RunContext[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        """The toolset for one step of a run; a toolset that answers with another one enters and leaves that itself."""
        return self

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> ToolsetInstructions:
        """What the model should know about these tools. Text counts as dynamic, unlike an `InstructionPart`."""
        return None

    @abstractmethod
    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        """The tools that the model may call in this step, by name."""
        raise NotImplementedError

    @abstractmethod
    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        """Call a tool with validated arguments. `tool` is what `get_tools` gave for `name` in this step."""
        raise NotImplementedError

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        """Show each leaf toolset to `visitor`."""
        visitor(self)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        """A copy in which each leaf toolset is what `visitor` made of it."""
        return visitor(self)

    def filtered(
        self, filter_func: Callable[[RunContext[AgentDepsT], ToolDefinition], bool | Awaitable[bool]]
    ) -> FilteredToolset[AgentDepsT]:
        """Only the tools for which `filter_func` is true, decided at each step."""
        from app.ai.toolsets.filtered import FilteredToolset

        return FilteredToolset(self, filter_func)

    def prefixed(self, prefix: str) -> PrefixedToolset[AgentDepsT]:
        """The same tools, each name preceded by `prefix` and an underscore."""
        from app.ai.toolsets.prefixed import PrefixedToolset

        return PrefixedToolset(self, prefix)

    def prepared(self, prepare_func: Callable[..., Any]) -> PreparedToolset[AgentDepsT]:
        """The same tools, described as `prepare_func(ctx, definitions)` decides at each step."""
        from app.ai.toolsets.prepared import PreparedToolset

        return PreparedToolset(self, prepare_func)

    def renamed(self, name_map: dict[str, str]) -> RenamedToolset[AgentDepsT]:
        """The same tools under other names; `name_map` goes from new to old."""
        from app.ai.toolsets.renamed import RenamedToolset

        return RenamedToolset(self, name_map)

    def approval_required(
        self,
        approval_required_func: Callable[[RunContext[AgentDepsT], ToolDefinition, dict[str, Any]], bool] | None = None,
    ) -> ApprovalRequiredToolset[AgentDepsT]:
        """The same tools, called only once a person agrees; the function picks the calls, by default all."""
        from app.ai.toolsets.approval_required import ApprovalRequiredToolset

        if approval_required_func is None:
            return ApprovalRequiredToolset(self)
        return ApprovalRequiredToolset(self, approval_required_func)

    def with_metadata(self, **metadata: Any) -> SetMetadataToolset[AgentDepsT]:
        """The same tools with this metadata added."""
        from app.ai.toolsets.set_metadata import SetMetadataToolset

        return SetMetadataToolset(self, metadata)

    def include_return_schemas(self) -> IncludeReturnSchemasToolset[AgentDepsT]:
        """The same tools, and the model is told what they return."""
        from app.ai.toolsets.include_return_schemas import IncludeReturnSchemasToolset

        return IncludeReturnSchemasToolset(self)

    def defer_loading(self, tool_names: Sequence[str] | None = None) -> DeferredLoadingToolset[AgentDepsT]:
        """The same tools, all or those named hidden until the model searches for them."""
        from app.ai.toolsets.deferred_loading import DeferredLoadingToolset

        return DeferredLoadingToolset(self, None if tool_names is None else frozenset(tool_names))
