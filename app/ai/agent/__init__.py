"""Agents: what they are, how they are run, and wrappers around them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.ai.agent.abstract import AbstractAgent, RunOutputDataT
from app.ai.agent.agent import Agent
from app.ai.agent.options import AgentMetadata, AgentRetries, OverrideOptions, RunOptions
from app.ai.agent.spec import AgentSpec
from app.ai.agent.wrapper import WrapperAgent
from app.ai.capture import capture_run_messages
from app.ai.event_stream import EventStreamHandler
from app.ai.instructions import AgentInstructions
from app.ai.loop import CallToolsNode, ModelRequestNode
from app.ai.prompt_node import UserPromptNode
from app.ai.run import AgentRun, AgentRunResult, AgentRunResultEvent
from app.ai.run_state import AgentModelSettings
from app.ai.tool_manager import ParallelExecutionMode
from app.ai.tool_phase import EndStrategy

if TYPE_CHECKING:
    from app.ai.models.instrumented import InstrumentationSettings

__all__ = (
    "AbstractAgent",
    "Agent",
    "AgentInstructions",
    "AgentMetadata",
    "AgentModelSettings",
    "AgentRetries",
    "AgentRun",
    "AgentRunResult",
    "AgentRunResultEvent",
    "AgentSpec",
    "CallToolsNode",
    "EndStrategy",
    "EventStreamHandler",
    "InstrumentationSettings",
    "ModelRequestNode",
    "OverrideOptions",
    "ParallelExecutionMode",
    "RunOptions",
    "RunOutputDataT",
    "UserPromptNode",
    "WrapperAgent",
    "capture_run_messages",
)


def __getattr__(name: str) -> Any:
    if name == "InstrumentationSettings":
        from app.ai.models.instrumented import InstrumentationSettings  # brings OpenTelemetry

        return InstrumentationSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
