"""Capabilities: what can be added to agents, by itself or packed up for reuse."""

from app.ai.capabilities.abstract import (
    AbstractCapability,
    AgentCapability,
    CapabilityFunc,
    WrapModelRequestHandler,
    WrapRunHandler,
    WrapToolExecuteHandler,
)
from app.ai.capabilities.combined import CombinedCapability
from app.ai.capabilities.instrumentation import Instrumentation
from app.ai.capabilities.ready_made import (
    HandleDeferredToolCalls,
    HistoryProcessor,
    IncludeToolReturnSchemas,
    PrepareOutputTools,
    PrepareTools,
    ProcessHistory,
    ReinjectSystemPrompt,
    SetToolMetadata,
    Thinking,
    ThreadExecutor,
    Toolset,
)

__all__ = (
    "AbstractCapability",
    "AgentCapability",
    "CapabilityFunc",
    "CombinedCapability",
    "HandleDeferredToolCalls",
    "HistoryProcessor",
    "IncludeToolReturnSchemas",
    "Instrumentation",
    "PrepareOutputTools",
    "PrepareTools",
    "ProcessHistory",
    "ReinjectSystemPrompt",
    "SetToolMetadata",
    "Thinking",
    "ThreadExecutor",
    "Toolset",
    "WrapModelRequestHandler",
    "WrapRunHandler",
    "WrapToolExecuteHandler",
)
