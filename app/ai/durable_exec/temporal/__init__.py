"""Agents on Temporal, which does not run here: each name refuses to be used and says what to use instead."""

from __future__ import annotations

from app.ai.durable_exec.absent import NeedsEngine

__all__ = (
    "AgentPlugin",
    "LogfirePlugin",
    "PydanticAIPlugin",
    "PydanticAIWorkflow",
    "TemporalAgent",
    "TemporalRunContext",
    "TemporalWrapperToolset",
)


class _NeedsTemporal(NeedsEngine):
    engine = "Temporal"


class TemporalAgent(_NeedsTemporal):
    """An agent whose requests and calls are activities."""


class TemporalRunContext(_NeedsTemporal):
    """The context of a run inside an activity."""


class TemporalWrapperToolset(_NeedsTemporal):
    """A toolset whose calls are activities."""


class PydanticAIWorkflow(_NeedsTemporal):
    """A workflow that names its agents."""


class PydanticAIPlugin(_NeedsTemporal):
    """Lets a client and its workers carry agents."""


class AgentPlugin(_NeedsTemporal):
    """Registers the activities of an agent."""


class LogfirePlugin(_NeedsTemporal):
    """Tells workflows to Logfire."""
