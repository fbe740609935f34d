"""How the model finds tools whose loading is deferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, get_args

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.native_tools import AgentNativeTool, NativeToolSearch, ToolSearchTool
from app.ai.run_context import AgentDepsT
from app.ai.toolsets import AbstractToolset
from app.ai.toolsets.tool_search import ToolSearchStrategy, ToolSearchToolset


@dataclass
class ToolSearch(AbstractCapability[AgentDepsT]):
    """Says how tools with `defer_loading` are found; agents without it find them by keywords.

    With `bm25` or `regex`, or where `ToolSearchTool` is among the native tools, the provider searches instead.
    """

    strategy: ToolSearchStrategy[AgentDepsT] | NativeToolSearch | None = None
    max_results: int = 10
    tool_description: str | None = None
    parameter_description: str | None = None

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        if self.strategy not in get_args(NativeToolSearch):
            return []
        return [ToolSearchTool(strategy=cast("NativeToolSearch", self.strategy))]

    def around(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        """The toolset with its deferred tools hidden."""
        return ToolSearchToolset(
            toolset,
            strategy=cast("ToolSearchStrategy[AgentDepsT]", self.strategy or "keywords"),
            max_results=self.max_results,
            tool_description=self.tool_description,
            parameter_description=self.parameter_description,
        )
