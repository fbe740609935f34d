"""Several toolsets as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Self

from app.ai.exceptions import UserError
from app.ai.messages import InstructionPart
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.toolsets.abstract import AbstractToolset, ToolsetInstructions, ToolsetTool


@dataclass(kw_only=True)
class CombinedToolsetTool(ToolsetTool[AgentDepsT]):
    """A tool together with the toolset that it came from."""

    source_toolset: AbstractToolset[AgentDepsT]
    source_tool: ToolsetTool[AgentDepsT]


@dataclass
class CombinedToolset(AbstractToolset[AgentDepsT]):
    """The tools of several toolsets; a name may occur only once."""

    toolsets: Sequence[AbstractToolset[AgentDepsT]]
    _open: list[AsyncExitStack] = field(default_factory=list[AsyncExitStack], init=False, repr=False, compare=False)

    @property
    def id(self) -> str | None:
        return None

    @property
    def label(self) -> str:
        return f"{type(self).__name__}({', '.join(toolset.label for toolset in self.toolsets)})"

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for toolset in self.toolsets:
                await stack.enter_async_context(toolset)
            self._open.append(stack.pop_all())
        return self

    async def __aexit__(self, *args: Any) -> bool | None:
        return await self._open.pop().__aexit__(*args)

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        return self._of([await toolset.for_run(ctx) for toolset in self.toolsets])

    async def for_run_step(self, ctx: RunContext[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        return self._of([await toolset.for_run_step(ctx) for toolset in self.toolsets])

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> ToolsetInstructions:
        gathered: list[str | InstructionPart] = []
        for toolset in self.toolsets:
            instructions = await toolset.get_instructions(ctx)
            gathered += [instructions] if isinstance(instructions, str | InstructionPart) else instructions or ()
        return gathered or None

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools: dict[str, ToolsetTool[AgentDepsT]] = {}
        for toolset in self.toolsets:
            for name, tool in (await toolset.get_tools(ctx)).items():
                if (other := tools.get(name)) is not None:
                    raise _name_conflict(name, tool, other)
                tools[name] = CombinedToolsetTool(
                    toolset=tool.toolset,
                    tool_def=tool.tool_def,
                    max_retries=tool.max_retries,
                    args_validator=tool.args_validator,
                    args_validator_func=tool.args_validator_func,
                    idempotent=tool.idempotent,
                    source_toolset=toolset,
                    source_tool=tool,
                )
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        assert isinstance(tool, CombinedToolsetTool), f"{self.label} was given a tool that is not its own"
        return await tool.source_toolset.call_tool(name, tool_args, ctx, tool.source_tool)

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        for toolset in self.toolsets:
            toolset.apply(visitor)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        return replace(self, toolsets=[toolset.visit_and_replace(visitor) for toolset in self.toolsets])

    def _of(self, toolsets: Sequence[AbstractToolset[AgentDepsT]]) -> AbstractToolset[AgentDepsT]:
        unchanged = all(new is old for new, old in zip(toolsets, self.toolsets, strict=True))
        return self if unchanged else replace(self, toolsets=toolsets)


def _name_conflict(name: str, tool: ToolsetTool[Any], other: ToolsetTool[Any]) -> UserError:
    return UserError(
        f"{tool.toolset.label} has a tool named {name!r}, and so has {other.toolset.label}. "
        f"{tool.toolset.tool_name_conflict_hint}"
    )
