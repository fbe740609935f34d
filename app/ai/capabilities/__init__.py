"""Capabilities: what can be added to agents, by itself or packed up for reuse."""

from app.ai.capabilities.abstract import (
    AbstractCapability,
    AgentCapability,
    AgentNode,
    CapabilityFunc,
    NodeResult,
    RawOutput,
    RawToolArgs,
    ValidatedToolArgs,
    WrapModelRequestHandler,
    WrapNodeRunHandler,
    WrapOutputProcessHandler,
    WrapOutputValidateHandler,
    WrapRunHandler,
    WrapToolExecuteHandler,
    WrapToolValidateHandler,
)
from app.ai.capabilities.bundle import Capability
from app.ai.capabilities.combined import CombinedCapability, DynamicCapability
from app.ai.capabilities.hooks import Hooks, HookTimeoutError
from app.ai.capabilities.instrumentation import Instrumentation
from app.ai.capabilities.mcp_servers import MCPServers
from app.ai.capabilities.native import (
    MCP,
    ImageGeneration,
    NativeOrLocalTool,
    NativeTool,
    WebFetch,
    WebSearch,
    XSearch,
)
from app.ai.capabilities.ordering import CapabilityOrdering, CapabilityPosition, CapabilityRef
from app.ai.capabilities.ready_made import (
    EventStreamProcessor,
    HandleDeferredToolCalls,
    HistoryProcessor,
    IncludeToolReturnSchemas,
    PrefixTools,
    PrepareOutputTools,
    PrepareTools,
    ProcessEventStream,
    ProcessHistory,
    ReinjectSystemPrompt,
    SetToolMetadata,
    Thinking,
    ThreadExecutor,
    Toolset,
)
from app.ai.capabilities.registry import CAPABILITY_TYPES
from app.ai.capabilities.tool_search import ToolSearch
from app.ai.capabilities.wrapper import WrapperCapability
from app.ai.models.request_context import ModelRequestContext
from app.ai.output import OutputContext

# Older names.
BuiltinTool = NativeTool
BuiltinOrLocalTool = NativeOrLocalTool

__all__ = (
    "CAPABILITY_TYPES",
    "MCP",
    "AbstractCapability",
    "AgentCapability",
    "AgentNode",
    "BuiltinOrLocalTool",
    "BuiltinTool",
    "Capability",
    "CapabilityFunc",
    "CapabilityOrdering",
    "CapabilityPosition",
    "CapabilityRef",
    "CombinedCapability",
    "DynamicCapability",
    "EventStreamProcessor",
    "HandleDeferredToolCalls",
    "HistoryProcessor",
    "HookTimeoutError",
    "Hooks",
    "ImageGeneration",
    "IncludeToolReturnSchemas",
    "Instrumentation",
    "MCPServers",
    "ModelRequestContext",
    "NativeOrLocalTool",
    "NativeTool",
    "NodeResult",
    "OutputContext",
    "PrefixTools",
    "PrepareOutputTools",
    "PrepareTools",
    "ProcessEventStream",
    "ProcessHistory",
    "RawOutput",
    "RawToolArgs",
    "ReinjectSystemPrompt",
    "SetToolMetadata",
    "Thinking",
    "ThreadExecutor",
    "ToolSearch",
    "Toolset",
    "ValidatedToolArgs",
    "WebFetch",
    "WebSearch",
    "WrapModelRequestHandler",
    "WrapNodeRunHandler",
    "WrapOutputProcessHandler",
    "WrapOutputValidateHandler",
    "WrapRunHandler",
    "WrapToolExecuteHandler",
    "WrapToolValidateHandler",
    "WrapperCapability",
    "XSearch",
)
