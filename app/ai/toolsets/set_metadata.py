"""A toolset with more metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import ToolSelector
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.selection import selected_tools
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class SetMetadataToolset(WrapperToolset[AgentDepsT]):
    """The same tools with `metadata` added to that of each; the added values win."""

    metadata: dict[str, Any]
    tools: ToolSelector[AgentDepsT] = "all"

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        for name in await selected_tools(self.tools, ctx, tools):
            definition = tools[name].tool_def
            metadata = {**(definition.metadata or {}), **self.metadata}
            tools[name] = replace(tools[name], tool_def=replace(definition, metadata=metadata))
        return tools
