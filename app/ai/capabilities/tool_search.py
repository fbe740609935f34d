"""How the model finds tools whose loading is deferred."""

from __future__ import annotations

from dataclasses import dataclass

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.run_context import AgentDepsT
from app.ai.toolsets import AbstractToolset
from app.ai.toolsets.tool_search import ToolSearchStrategy, ToolSearchToolset


@dataclass
class ToolSearch(AbstractCapability[AgentDepsT]):
    """Says how tools with `defer_loading` are found; agents without it find them by keywords.

    Where `ToolSearchTool` is among the native tools, the provider searches instead.
    """

    strategy: ToolSearchStrategy[AgentDepsT] | None = None
    max_results: int = 10
    tool_description: str | None = None
    parameter_description: str | None = None

    def around(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        """The toolset with its deferred tools hidden."""
        return ToolSearchToolset(
            toolset,
            strategy=self.strategy or "keywords",
            max_results=self.max_results,
            tool_description=self.tool_description,
            parameter_description=self.parameter_description,
        )
