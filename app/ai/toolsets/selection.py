"""Choosing some tools of a toolset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.ai.run_context import RunContext
from app.ai.steps import current_steps
from app.ai.tools import ToolSelector, matches_tool_selector
from app.ai.toolsets.abstract import ToolsetTool


async def selected_tools(
    selector: ToolSelector[Any], ctx: RunContext[Any], tools: Mapping[str, ToolsetTool[Any]]
) -> list[str]:
    """The names of the tools that a selector picks."""

    async def pick() -> list[str]:
        return [name for name, tool in tools.items() if await matches_tool_selector(selector, ctx, tool.tool_def)]

    # Only a function can pick otherwise when a run is replayed.
    return await (current_steps.get().callback("select_tools", list[str], pick) if callable(selector) else pick())
