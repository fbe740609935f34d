"""The agent core. Everything public can be imported from here; what is not used is not loaded."""

# The imports below are for type checkers, and tell them the same names as `_EXPORTS`.
# ruff: noqa: F401
# pyright: reportUnusedImport=false
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.ai.agent import (
        AbstractAgent,
        Agent,
        AgentRetries,
        AgentSpec,
        EndStrategy,
        EventStreamHandler,
        ParallelExecutionMode,
        WrapperAgent,
        capture_run_messages,
    )
    from app.ai.capabilities import (
        AbstractCapability,
        AgentCapability,
        CapabilityFunc,
        CombinedCapability,
    )
    from app.ai.concurrency import (
        AbstractConcurrencyLimiter,
        AnyConcurrencyLimit,
        ConcurrencyLimit,
        ConcurrencyLimiter,
    )
    from app.ai.deferred import (
        DeferredToolRequests,
        DeferredToolResults,
        ToolApproved,
        ToolDenied,
    )
    from app.ai.exceptions import (
        AgentRunError,
        ApprovalRequired,
        CallDeferred,
        ConcurrencyLimitExceeded,
        ContentFilterError,
        FallbackExceptionGroup,
        IncompleteToolCall,
        ModelAPIError,
        ModelHTTPError,
        ModelRetry,
        SkipModelRequest,
        SkipToolExecution,
        SkipToolValidation,
        UndrainedPendingMessagesError,
        UnexpectedModelBehavior,
        UsageLimitExceeded,
        UserError,
    )
    from app.ai.format_prompt import (
        format_as_xml,
    )
    from app.ai.graph import (
        BaseNode,
        End,
        GraphRunContext,
    )
    from app.ai.loop import (
        CallToolsNode,
        ModelRequestNode,
    )
    from app.ai.messages import (
        AgentStreamEvent,
        AudioFormat,
        AudioMediaType,
        AudioUrl,
        BaseToolCallPart,
        BaseToolReturnPart,
        BinaryContent,
        BinaryImage,
        BuiltinToolCallEvent,
        BuiltinToolCallPart,
        BuiltinToolResultEvent,
        BuiltinToolReturnPart,
        CachePoint,
        CompactionPart,
        DocumentFormat,
        DocumentMediaType,
        DocumentUrl,
        FilePart,
        FileUrl,
        FinalResultEvent,
        FinishReason,
        FunctionToolCallEvent,
        FunctionToolResultEvent,
        HandleResponseEvent,
        ImageFormat,
        ImageMediaType,
        ImageUrl,
        InstructionPart,
        LoadCapabilityCallPart,
        LoadCapabilityReturnPart,
        ModelMessage,
        ModelMessagesTypeAdapter,
        ModelRequest,
        ModelRequestPart,
        ModelResponse,
        ModelResponsePart,
        ModelResponsePartDelta,
        ModelResponseStreamEvent,
        MultiModalContent,
        NativeToolCallPart,
        NativeToolReturnPart,
        NativeToolSearchCallPart,
        NativeToolSearchReturnPart,
        OutputToolCallEvent,
        OutputToolResultEvent,
        PartDeltaEvent,
        PartEndEvent,
        PartStartEvent,
        RetryPromptPart,
        SystemPromptPart,
        TextContent,
        TextPart,
        TextPartDelta,
        ThinkingPart,
        ThinkingPartDelta,
        ToolCallPart,
        ToolCallPartDelta,
        ToolReturn,
        ToolReturnPart,
        ToolSearchCallPart,
        ToolSearchReturnPart,
        UploadedFile,
        UploadedFileProviderName,
        UserContent,
        UserPromptPart,
        VideoFormat,
        VideoMediaType,
        VideoUrl,
    )
    from app.ai.models.concurrency import (
        ConcurrencyLimitedModel,
        limit_model_concurrency,
    )
    from app.ai.models.instrumented import (
        InstrumentationSettings,
    )
    from app.ai.models.request_context import (
        ModelRequestContext as ModelRequestContext,
    )
    from app.ai.native_tools import (
        AbstractBuiltinTool,
        AbstractNativeTool,
        CodeExecutionTool,
        FileSearchTool,
        ImageGenerationTool,
        MCPServerTool,
        MemoryTool,
        ToolSearchTool,
        UrlContextTool,
        WebFetchTool,
        WebSearchTool,
        WebSearchUserLocation,
        XSearchTool,
    )
    from app.ai.output import (
        NativeOutput,
        PromptedOutput,
        StructuredDict,
        TextOutput,
        ToolOutput,
    )
    from app.ai.profiles import (
        DEFAULT_PROFILE,
        InlineDefsJsonSchemaTransformer,
        JsonSchemaTransformer,
        ModelProfile,
        ModelProfileSpec,
    )
    from app.ai.prompt_node import (
        UserPromptNode,
    )
    from app.ai.run import (
        AgentRun,
        AgentRunResult,
        AgentRunResultEvent,
    )
    from app.ai.settings import (
        ModelSettings,
        ToolOrOutput,
    )
    from app.ai.template import (
        TemplateStr,
    )
    from app.ai.tools import (
        ObjectJsonSchema,
        RunContext,
        Tool,
        ToolDefinition,
    )
    from app.ai.toolsets import (
        AbstractToolset,
        AgentToolset,
        ApprovalRequiredToolset,
        CombinedToolset,
        DeferredLoadingToolset,
        DynamicToolset,
        ExternalToolset,
        FilteredToolset,
        FunctionToolset,
        IncludeReturnSchemasToolset,
        PrefixedToolset,
        PreparedToolset,
        RenamedToolset,
        SetMetadataToolset,
        ToolsetFunc,
        ToolsetTool,
        WrapperToolset,
    )
    from app.ai.usage import (
        RequestUsage,
        RunUsage,
        UsageLimits,
    )

# The same names for the program as above for type checkers; a test holds the two together.
_EXPORTS = {
    "app.ai.agent": """
        AbstractAgent Agent AgentRetries AgentSpec EndStrategy EventStreamHandler ParallelExecutionMode
        WrapperAgent capture_run_messages
    """,
    "app.ai.capabilities": """
        AbstractCapability AgentCapability CapabilityFunc CombinedCapability
    """,
    "app.ai.concurrency": """
        AbstractConcurrencyLimiter AnyConcurrencyLimit ConcurrencyLimit ConcurrencyLimiter
    """,
    "app.ai.deferred": """
        DeferredToolRequests DeferredToolResults ToolApproved ToolDenied
    """,
    "app.ai.exceptions": """
        AgentRunError ApprovalRequired CallDeferred ConcurrencyLimitExceeded ContentFilterError
        FallbackExceptionGroup IncompleteToolCall ModelAPIError ModelHTTPError ModelRetry SkipModelRequest
        SkipToolExecution SkipToolValidation UndrainedPendingMessagesError UnexpectedModelBehavior
        UsageLimitExceeded UserError
    """,
    "app.ai.format_prompt": """
        format_as_xml
    """,
    "app.ai.graph": """
        BaseNode End GraphRunContext
    """,
    "app.ai.loop": """
        CallToolsNode ModelRequestNode
    """,
    "app.ai.messages": """
        AgentStreamEvent AudioFormat AudioMediaType AudioUrl BaseToolCallPart BaseToolReturnPart
        BinaryContent BinaryImage BuiltinToolCallEvent BuiltinToolCallPart BuiltinToolResultEvent
        BuiltinToolReturnPart CachePoint CompactionPart DocumentFormat DocumentMediaType DocumentUrl
        FilePart FileUrl FinalResultEvent FinishReason FunctionToolCallEvent FunctionToolResultEvent
        HandleResponseEvent ImageFormat ImageMediaType ImageUrl InstructionPart LoadCapabilityCallPart
        LoadCapabilityReturnPart ModelMessage ModelMessagesTypeAdapter ModelRequest ModelRequestPart
        ModelResponse ModelResponsePart ModelResponsePartDelta ModelResponseStreamEvent
        MultiModalContent NativeToolCallPart NativeToolReturnPart NativeToolSearchCallPart
        NativeToolSearchReturnPart OutputToolCallEvent OutputToolResultEvent PartDeltaEvent PartEndEvent
        PartStartEvent RetryPromptPart SystemPromptPart TextContent TextPart TextPartDelta ThinkingPart
        ThinkingPartDelta ToolCallPart ToolCallPartDelta ToolReturn ToolReturnPart ToolSearchCallPart
        ToolSearchReturnPart UploadedFile UploadedFileProviderName UserContent UserPromptPart
        VideoFormat VideoMediaType VideoUrl
    """,
    "app.ai.models.concurrency": """
        ConcurrencyLimitedModel limit_model_concurrency
    """,
    "app.ai.models.instrumented": """
        InstrumentationSettings
    """,
    "app.ai.models.request_context": """
        ModelRequestContext
    """,
    "app.ai.native_tools": """
        AbstractBuiltinTool AbstractNativeTool CodeExecutionTool FileSearchTool ImageGenerationTool
        MCPServerTool MemoryTool ToolSearchTool UrlContextTool WebFetchTool WebSearchTool
        WebSearchUserLocation XSearchTool
    """,
    "app.ai.output": """
        NativeOutput PromptedOutput StructuredDict TextOutput ToolOutput
    """,
    "app.ai.profiles": """
        DEFAULT_PROFILE InlineDefsJsonSchemaTransformer JsonSchemaTransformer ModelProfile ModelProfileSpec
    """,
    "app.ai.prompt_node": """
        UserPromptNode
    """,
    "app.ai.run": """
        AgentRun AgentRunResult AgentRunResultEvent
    """,
    "app.ai.settings": """
        ModelSettings ToolOrOutput
    """,
    "app.ai.template": """
        TemplateStr
    """,
    "app.ai.tools": """
        ObjectJsonSchema RunContext Tool ToolDefinition
    """,
    "app.ai.toolsets": """
        AbstractToolset AgentToolset ApprovalRequiredToolset CombinedToolset DeferredLoadingToolset
        DynamicToolset ExternalToolset FilteredToolset FunctionToolset IncludeReturnSchemasToolset
        PrefixedToolset PreparedToolset RenamedToolset SetMetadataToolset ToolsetFunc ToolsetTool
        WrapperToolset
    """,
    "app.ai.usage": """
        RequestUsage RunUsage UsageLimits
    """,
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names.split()}

__version__ = "1.106.0"
"""The version of the published API that this one follows."""


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return list(_MODULE_OF)
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
