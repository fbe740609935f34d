"""A toolset's tools with a prefix before each name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from app.ai.run_context import AgentDepsT, RunContext
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class PrefixedToolset(WrapperToolset[AgentDepsT]):
    """The same tools, each name preceded by `prefix` and an underscore."""

    prefix: str

    @property
    def tool_name_conflict_hint(self) -> str:
        return "Change the `prefix`."

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return {
            f"{self.prefix}_{name}": replace(
                tool, toolset=self, tool_def=replace(tool.tool_def, name=f"{self.prefix}_{name}")
            )
            for name, tool in (await self.wrapped.get_tools(ctx)).items()
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        original = name.removeprefix(f"{self.prefix}_")
        tool = replace(tool, tool_def=replace(tool.tool_def, name=original))
        return await self.wrapped.call_tool(original, tool_args, replace(ctx, tool_name=original), tool)
