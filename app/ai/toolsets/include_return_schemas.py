"""A toolset whose tools tell what they return."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import ToolSelector
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.selection import selected_tools
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class IncludeReturnSchemasToolset(WrapperToolset[AgentDepsT]):
    """The same tools, and the model is told their return schemas; tools that say otherwise keep their way."""

    tools: ToolSelector[AgentDepsT] = "all"

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        for name in await selected_tools(self.tools, ctx, tools):
            tool = tools[name]
            if tool.tool_def.include_return_schema is None:
                tools[name] = replace(tool, tool_def=replace(tool.tool_def, include_return_schema=True))
        return tools
