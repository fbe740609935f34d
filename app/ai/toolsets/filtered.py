"""Only some of a toolset's tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from app.ai.callbacks import resolve
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.steps import current_steps
from app.ai.tools import ToolDefinition
from app.ai.toolsets.abstract import ToolsetTool
from app.ai.toolsets.wrapper import WrapperToolset


@dataclass
class FilteredToolset(WrapperToolset[AgentDepsT]):
    """The tools for which `filter_func` is true, decided at each step."""

    filter_func: Callable[[RunContext[AgentDepsT], ToolDefinition], bool | Awaitable[bool]]

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        kept = await current_steps.get().callback("filter_tools", list[str], partial(self._kept, ctx, tools))
        return {name: tools[name] for name in kept}

    async def _kept(self, ctx: RunContext[AgentDepsT], tools: dict[str, ToolsetTool[AgentDepsT]]) -> list[str]:
        return [name for name, tool in tools.items() if await resolve(self.filter_func(ctx, tool.tool_def))]
