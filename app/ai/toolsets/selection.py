"""Choosing some tools of a toolset."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias, cast

from app.ai.callbacks import resolve
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.steps import current_steps
from app.ai.tools import ToolDefinition
from app.ai.toolsets.abstract import ToolsetTool

ToolSelector: TypeAlias = (
    Literal["all"]
    | Sequence[str]
    | Mapping[str, Any]
    | Callable[[RunContext[AgentDepsT], ToolDefinition], bool | Awaitable[bool]]
)
"""All tools, tools by name, tools whose metadata holds these values, or what a function picks at each step."""


async def selected_tools(
    selector: ToolSelector[Any], ctx: RunContext[Any], tools: Mapping[str, ToolsetTool[Any]]
) -> list[str]:
    """The names of the tools that a selector picks."""
    if selector == "all":
        return list(tools)
    if isinstance(selector, Mapping):
        wanted = cast("Mapping[str, Any]", selector)
        return [name for name, tool in tools.items() if _holds(tool.tool_def.metadata or {}, wanted)]
    if callable(selector):
        return await current_steps.get().callback("select_tools", list[str], partial(_picked, selector, ctx, tools))
    return [name for name in tools if name in selector]


async def _picked(pick: Any, ctx: RunContext[Any], tools: Mapping[str, ToolsetTool[Any]]) -> list[str]:
    return [name for name, tool in tools.items() if await resolve(pick(ctx, tool.tool_def))]


def _holds(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    # Not by comparing items as sets: values need not be hashable.
    return all(key in metadata and metadata[key] == value for key, value in wanted.items())
