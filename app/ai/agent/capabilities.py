"""The capabilities of an agent, and the toolsets that they brought when the agent was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.ai.capabilities import AbstractCapability, CombinedCapability
from app.ai.capabilities.on_demand import by_id, toolset_of
from app.ai.toolsets import AbstractToolset


class AgentCapabilities:
    """The capabilities of an agent. Their toolsets are asked for once, as they keep connections."""

    def __init__(self, capabilities: Sequence[AbstractCapability[Any]]):
        self.root = CombinedCapability[Any](capabilities)
        by_id(self.root.capabilities)
        self._brought = [
            (capability, toolset)
            for capability in self.root.capabilities
            if (toolset := toolset_of(capability)) is not None
        ]

    @property
    def toolsets(self) -> list[AbstractToolset[Any]]:
        """The toolsets of all capabilities."""
        return [toolset for _, toolset in self._brought]

    def toolsets_without(self, capabilities: Sequence[AbstractCapability[Any]]) -> list[AbstractToolset[Any]]:
        """The toolsets of those that are not among `capabilities`, because a run has others in their place."""
        return [toolset for owner, toolset in self._brought if not any(owner is item for item in capabilities)]
