"""Toolsets as the workflows of a `DBOSAgent` use them: whoever replays one draws the same steps in the same order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from app.ai.callbacks import call_user_function, is_async
from app.ai.mcp import MCPServer
from app.ai.run_context import RunContext
from app.ai.toolsets import AbstractToolset, DynamicToolset, FunctionToolset, ToolsetTool, WrapperToolset
from app.durable.agent_mcp import DBOSMCPServer
from app.durable.dbos_internals import is_registered

ServerStep: TypeAlias = Callable[[MCPServer], DBOSMCPServer]


def with_recorded_servers(toolset: AbstractToolset[Any], server_step: ServerStep) -> AbstractToolset[Any]:
    """The toolset with the calls of its MCP servers as steps."""
    return toolset.visit_and_replace(lambda leaf: server_step(leaf) if isinstance(leaf, MCPServer) else leaf)


def replayable(toolset: AbstractToolset[Any], server_step: ServerStep) -> AbstractToolset[Any]:
    """The toolset of one run, those that it chooses on the way included."""

    def as_steps(leaf: AbstractToolset[Any]) -> AbstractToolset[Any]:
        match leaf:
            case MCPServer():
                return server_step(leaf)
            case FunctionToolset():
                return StepsInTurn(leaf)
            case DynamicToolset():
                return _choosing_replayable(leaf, server_step)
            case _:
                return leaf

    return toolset.visit_and_replace(as_steps)


def _choosing_replayable(dynamic: DynamicToolset[Any], server_step: ServerStep) -> DynamicToolset[Any]:
    # A toolset that is chosen again stays open, so it must be the same object again.
    last: list[tuple[AbstractToolset[Any], AbstractToolset[Any]]] = []

    async def choose(ctx: RunContext[Any]) -> AbstractToolset[Any] | None:
        chosen: AbstractToolset[Any] | None = await call_user_function(dynamic.toolset_func, ctx)
        if not isinstance(chosen, AbstractToolset):
            return chosen  # None, or what the toolset refuses
        if not last or last[0][0] is not chosen:
            last[:] = [(chosen, replayable(chosen, server_step))]
        return last[0][1]

    return DynamicToolset(choose, dynamic.per_run_step, dynamic.id)


@dataclass
class StepsInTurn(WrapperToolset[Any]):
    """Functions of which those that are synchronous steps run alone.

    Their threads would draw the steps' numbers in an order left to chance. Tasks draw them in the order of the calls.
    """

    @property
    def id(self) -> str | None:
        return self.wrapped.id

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        tools = await super().get_tools(ctx)
        functions = self.wrapped.tools if isinstance(self.wrapped, FunctionToolset) else {}
        for name, tool in tools.items():
            function = functions[name].function if name in functions else None
            if function is not None and is_registered(function) and not is_async(function):
                tools[name] = replace(tool, tool_def=replace(tool.tool_def, sequential=True))
        return tools
