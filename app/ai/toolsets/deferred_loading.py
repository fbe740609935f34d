"""A toolset whose tools stay hidden until they are searched for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.ai.run_context import AgentDepsT, RunContext
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class DeferredLoadingToolset(WrapperToolset[AgentDepsT]):
    """The same tools, marked `defer_loading` for providers that search tools; None in `tool_names` means all."""

    tool_names: frozenset[str] | None = None

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        return {
            name: replace(tool, tool_def=replace(tool.tool_def, defer_loading=True))
            if self.tool_names is None or name in self.tool_names
            else tool
            for name, tool in tools.items()
        }
