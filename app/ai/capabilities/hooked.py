"""The layer around toolsets that runs the hooks of tool calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.ai.capabilities.combined import CombinedCapability
from app.ai.capabilities.lifecycle import tool_execute
from app.ai.messages import ToolCallPart
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.toolsets import AbstractToolset, ExternalToolset, ToolsetTool, WrapperToolset


@dataclass
class HookedToolset(WrapperToolset[AgentDepsT]):
    """Runs hooks around the calls of a toolset."""

    capability: CombinedCapability[AgentDepsT]

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        async def execute(args: dict[str, Any]) -> Any:
            return await self.wrapped.call_tool(name, args, ctx, tool)

        # A toolset further out may have another name for the tool.
        call = replace(ctx.tool_call or ToolCallPart(name, tool_args, ctx.tool_call_id or ""), tool_name=name)
        return await tool_execute(self.capability, ctx, call, tool.tool_def, tool_args, execute)


@dataclass
class HookedLeaf(HookedToolset[AgentDepsT]):
    """Counts as a leaf itself, so that a layer that records the calls of leaves has the hooks inside."""

    @property
    def id(self) -> str | None:
        return self.wrapped.id

    @property
    def label(self) -> str:
        return self.wrapped.label

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        visitor(self)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        return visitor(self)


def with_hooks(
    toolset: AbstractToolset[Any], capability: CombinedCapability[Any], *, recorded: bool
) -> AbstractToolset[Any]:
    """The toolset with hooks around its calls; those that are recorded have them inside."""
    if not recorded:
        return HookedToolset(toolset, capability)
    return toolset.visit_and_replace(partial(_hook_leaf, capability))


def _hook_leaf(capability: CombinedCapability[Any], leaf: AbstractToolset[Any]) -> AbstractToolset[Any]:
    # Calls that are made elsewhere are recorded in ways of their own, which need to see the toolset itself.
    elsewhere = isinstance(leaf, ExternalToolset) or hasattr(leaf, "tool_for_tool_def")
    return HookedToolset(leaf, capability) if elsewhere else HookedLeaf(leaf, capability)
