"""A toolset's tools under other names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from app.ai.exceptions import UserError
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class RenamedToolset(WrapperToolset[AgentDepsT]):
    """The same tools under other names; `name_map` goes from new to old."""

    name_map: dict[str, str]

    @property
    def tool_name_conflict_hint(self) -> str:
        return "Change the names in `name_map`."

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        new_names = {old: new for new, old in self.name_map.items()}
        tools: dict[str, ToolsetTool[AgentDepsT]] = {}
        for old, tool in (await self.wrapped.get_tools(ctx)).items():
            name = new_names.get(old, old)
            if name in tools:
                raise UserError(f"{self.label} has two tools named {name!r}. {self.tool_name_conflict_hint}")
            tools[name] = replace(tool, toolset=self, tool_def=replace(tool.tool_def, name=name))
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        original = self.name_map.get(name, name)
        tool = replace(tool, tool_def=replace(tool.tool_def, name=original))
        return await self.wrapped.call_tool(original, tool_args, replace(ctx, tool_name=original), tool)
