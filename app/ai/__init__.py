"""The agent core. Everything public can be imported from here; what is not used is not loaded."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.ai.agent import (
        AbstractAgent as AbstractAgent,
    )
    from app.ai.agent import (
        Agent as Agent,
    )
    from app.ai.agent import (
        AgentRetries as AgentRetries,
    )
    from app.ai.agent import (
        AgentSpec as AgentSpec,
    )
    from app.ai.agent import (
        EndStrategy as EndStrategy,
    )
    from app.ai.agent import (
        EventStreamHandler as EventStreamHandler,
    )
    from app.ai.agent import (
        ParallelExecutionMode as ParallelExecutionMode,
    )
    from app.ai.agent import (
        WrapperAgent as WrapperAgent,
    )
    from app.ai.agent import (
        capture_run_messages as capture_run_messages,
    )
    from app.ai.concurrency import (
        AbstractConcurrencyLimiter as AbstractConcurrencyLimiter,
    )
    from app.ai.concurrency import (
        AnyConcurrencyLimit as AnyConcurrencyLimit,
    )
    from app.ai.concurrency import (
        ConcurrencyLimit as ConcurrencyLimit,
    )
    from app.ai.concurrency import (
        ConcurrencyLimiter as ConcurrencyLimiter,
    )
    from app.ai.deferred import (
        DeferredToolRequests as DeferredToolRequests,
    )
    from app.ai.deferred import (
        DeferredToolResults as DeferredToolResults,
    )
    from app.ai.deferred import (
        ToolApproved as ToolApproved,
    )
    from app.ai.deferred import (
        ToolDenied as ToolDenied,
    )
    from app.ai.exceptions import (
        AgentRunError as AgentRunError,
    )
    from app.ai.exceptions import (
        ApprovalRequired as ApprovalRequired,
    )
    from app.ai.exceptions import (
        CallDeferred as CallDeferred,
    )
    from app.ai.exceptions import (
        ConcurrencyLimitExceeded as ConcurrencyLimitExceeded,
    )
    from app.ai.exceptions import (
        ContentFilterError as ContentFilterError,
    )
    from app.ai.exceptions import (
        FallbackExceptionGroup as FallbackExceptionGroup,
    )
    from app.ai.exceptions import (
        IncompleteToolCall as IncompleteToolCall,
    )
    from app.ai.exceptions import (
        ModelAPIError as ModelAPIError,
    )
    from app.ai.exceptions import (
        ModelHTTPError as ModelHTTPError,
    )
    from app.ai.exceptions import (
        ModelRetry as ModelRetry,
    )
    from app.ai.exceptions import (
        SkipModelRequest as SkipModelRequest,
    )
    from app.ai.exceptions import (
        SkipToolExecution as SkipToolExecution,
    )
    from app.ai.exceptions import (
        SkipToolValidation as SkipToolValidation,
    )
    from app.ai.exceptions import (
        UnexpectedModelBehavior as UnexpectedModelBehavior,
    )
    from app.ai.exceptions import (
        UsageLimitExceeded as UsageLimitExceeded,
    )
    from app.ai.exceptions import (
        UserError as UserError,
    )
    from app.ai.format_prompt import (
        format_as_xml as format_as_xml,
    )
    from app.ai.graph import (
        BaseNode as BaseNode,
    )
    from app.ai.graph import (
        End as End,
    )
    from app.ai.graph import (
        GraphRunContext as GraphRunContext,
    )
    from app.ai.loop import (
        CallToolsNode as CallToolsNode,
    )
    from app.ai.loop import (
        ModelRequestNode as ModelRequestNode,
    )
    from app.ai.messages import (
        AgentStreamEvent as AgentStreamEvent,
    )
    from app.ai.messages import (
        AudioUrl as AudioUrl,
    )
    from app.ai.messages import (
        BinaryContent as BinaryContent,
    )
    from app.ai.messages import (
        BinaryImage as BinaryImage,
    )
    from app.ai.messages import (
        CachePoint as CachePoint,
    )
    from app.ai.messages import (
        CompactionPart as CompactionPart,
    )
    from app.ai.messages import (
        DocumentUrl as DocumentUrl,
    )
    from app.ai.messages import (
        FilePart as FilePart,
    )
    from app.ai.messages import (
        FileUrl as FileUrl,
    )
    from app.ai.messages import (
        FinalResultEvent as FinalResultEvent,
    )
    from app.ai.messages import (
        FinishReason as FinishReason,
    )
    from app.ai.messages import (
        FunctionToolCallEvent as FunctionToolCallEvent,
    )
    from app.ai.messages import (
        FunctionToolResultEvent as FunctionToolResultEvent,
    )
    from app.ai.messages import (
        HandleResponseEvent as HandleResponseEvent,
    )
    from app.ai.messages import (
        ImageUrl as ImageUrl,
    )
    from app.ai.messages import (
        InstructionPart as InstructionPart,
    )
    from app.ai.messages import (
        ModelMessage as ModelMessage,
    )
    from app.ai.messages import (
        ModelMessagesTypeAdapter as ModelMessagesTypeAdapter,
    )
    from app.ai.messages import (
        ModelRequest as ModelRequest,
    )
    from app.ai.messages import (
        ModelRequestPart as ModelRequestPart,
    )
    from app.ai.messages import (
        ModelResponse as ModelResponse,
    )
    from app.ai.messages import (
        ModelResponsePart as ModelResponsePart,
    )
    from app.ai.messages import (
        ModelResponsePartDelta as ModelResponsePartDelta,
    )
    from app.ai.messages import (
        ModelResponseStreamEvent as ModelResponseStreamEvent,
    )
    from app.ai.messages import (
        MultiModalContent as MultiModalContent,
    )
    from app.ai.messages import (
        NativeToolCallPart as NativeToolCallPart,
    )
    from app.ai.messages import (
        NativeToolReturnPart as NativeToolReturnPart,
    )
    from app.ai.messages import (
        OutputToolCallEvent as OutputToolCallEvent,
    )
    from app.ai.messages import (
        OutputToolResultEvent as OutputToolResultEvent,
    )
    from app.ai.messages import (
        PartDeltaEvent as PartDeltaEvent,
    )
    from app.ai.messages import (
        PartEndEvent as PartEndEvent,
    )
    from app.ai.messages import (
        PartStartEvent as PartStartEvent,
    )
    from app.ai.messages import (
        RetryPromptPart as RetryPromptPart,
    )
    from app.ai.messages import (
        SystemPromptPart as SystemPromptPart,
    )
    from app.ai.messages import (
        TextContent as TextContent,
    )
    from app.ai.messages import (
        TextPart as TextPart,
    )
    from app.ai.messages import (
        TextPartDelta as TextPartDelta,
    )
    from app.ai.messages import (
        ThinkingPart as ThinkingPart,
    )
    from app.ai.messages import (
        ThinkingPartDelta as ThinkingPartDelta,
    )
    from app.ai.messages import (
        ToolCallPart as ToolCallPart,
    )
    from app.ai.messages import (
        ToolCallPartDelta as ToolCallPartDelta,
    )
    from app.ai.messages import (
        ToolReturn as ToolReturn,
    )
    from app.ai.messages import (
        ToolReturnPart as ToolReturnPart,
    )
    from app.ai.messages import (
        UploadedFile as UploadedFile,
    )
    from app.ai.messages import (
        UserContent as UserContent,
    )
    from app.ai.messages import (
        UserPromptPart as UserPromptPart,
    )
    from app.ai.messages import (
        VideoUrl as VideoUrl,
    )
    from app.ai.models.concurrency import (
        ConcurrencyLimitedModel as ConcurrencyLimitedModel,
    )
    from app.ai.models.concurrency import (
        limit_model_concurrency as limit_model_concurrency,
    )
    from app.ai.models.instrumented import (
        InstrumentationSettings as InstrumentationSettings,
    )
    from app.ai.output import (
        NativeOutput as NativeOutput,
    )
    from app.ai.output import (
        PromptedOutput as PromptedOutput,
    )
    from app.ai.output import (
        StructuredDict as StructuredDict,
    )
    from app.ai.output import (
        TextOutput as TextOutput,
    )
    from app.ai.output import (
        ToolOutput as ToolOutput,
    )
    from app.ai.profiles import (
        ModelProfile as ModelProfile,
    )
    from app.ai.profiles import (
        ModelProfileSpec as ModelProfileSpec,
    )
    from app.ai.prompt_node import (
        UserPromptNode as UserPromptNode,
    )
    from app.ai.run import (
        AgentRun as AgentRun,
    )
    from app.ai.run import (
        AgentRunResult as AgentRunResult,
    )
    from app.ai.run import (
        AgentRunResultEvent as AgentRunResultEvent,
    )
    from app.ai.settings import (
        ModelSettings as ModelSettings,
    )
    from app.ai.settings import (
        ToolOrOutput as ToolOrOutput,
    )
    from app.ai.template import (
        TemplateStr as TemplateStr,
    )
    from app.ai.tools import (
        ObjectJsonSchema as ObjectJsonSchema,
    )
    from app.ai.tools import (
        RunContext as RunContext,
    )
    from app.ai.tools import (
        Tool as Tool,
    )
    from app.ai.tools import (
        ToolDefinition as ToolDefinition,
    )
    from app.ai.toolsets import (
        AbstractToolset as AbstractToolset,
    )
    from app.ai.toolsets import (
        AgentToolset as AgentToolset,
    )
    from app.ai.toolsets import (
        ApprovalRequiredToolset as ApprovalRequiredToolset,
    )
    from app.ai.toolsets import (
        CombinedToolset as CombinedToolset,
    )
    from app.ai.toolsets import (
        DeferredLoadingToolset as DeferredLoadingToolset,
    )
    from app.ai.toolsets import (
        DynamicToolset as DynamicToolset,
    )
    from app.ai.toolsets import (
        ExternalToolset as ExternalToolset,
    )
    from app.ai.toolsets import (
        FilteredToolset as FilteredToolset,
    )
    from app.ai.toolsets import (
        FunctionToolset as FunctionToolset,
    )
    from app.ai.toolsets import (
        IncludeReturnSchemasToolset as IncludeReturnSchemasToolset,
    )
    from app.ai.toolsets import (
        PrefixedToolset as PrefixedToolset,
    )
    from app.ai.toolsets import (
        PreparedToolset as PreparedToolset,
    )
    from app.ai.toolsets import (
        RenamedToolset as RenamedToolset,
    )
    from app.ai.toolsets import (
        SetMetadataToolset as SetMetadataToolset,
    )
    from app.ai.toolsets import (
        ToolsetFunc as ToolsetFunc,
    )
    from app.ai.toolsets import (
        ToolsetTool as ToolsetTool,
    )
    from app.ai.toolsets import (
        WrapperToolset as WrapperToolset,
    )
    from app.ai.usage import (
        RequestUsage as RequestUsage,
    )
    from app.ai.usage import (
        RunUsage as RunUsage,
    )
    from app.ai.usage import (
        UsageLimits as UsageLimits,
    )

# The same names for the program as above for type checkers; a test holds the two together.
_EXPORTS = {
    "app.ai.agent": """
        AbstractAgent Agent AgentRetries AgentSpec EndStrategy EventStreamHandler ParallelExecutionMode
        WrapperAgent capture_run_messages
    """,
    "app.ai.deferred": "DeferredToolRequests DeferredToolResults ToolApproved ToolDenied",
    "app.ai.exceptions": """
        AgentRunError ApprovalRequired CallDeferred ConcurrencyLimitExceeded ContentFilterError
        FallbackExceptionGroup IncompleteToolCall ModelAPIError ModelHTTPError ModelRetry SkipModelRequest
        SkipToolExecution SkipToolValidation UnexpectedModelBehavior UsageLimitExceeded UserError
    """,
    "app.ai.graph": "BaseNode End GraphRunContext",
    "app.ai.loop": "CallToolsNode ModelRequestNode",
    "app.ai.messages": """
        AgentStreamEvent AudioUrl BinaryContent BinaryImage CachePoint CompactionPart DocumentUrl FilePart
        FileUrl FinalResultEvent FinishReason FunctionToolCallEvent FunctionToolResultEvent HandleResponseEvent
        ImageUrl InstructionPart ModelMessage ModelMessagesTypeAdapter ModelRequest ModelRequestPart
        ModelResponse ModelResponsePart ModelResponsePartDelta ModelResponseStreamEvent MultiModalContent
        NativeToolCallPart NativeToolReturnPart OutputToolCallEvent OutputToolResultEvent PartDeltaEvent
        PartEndEvent PartStartEvent RetryPromptPart SystemPromptPart TextContent TextPart TextPartDelta
        ThinkingPart ThinkingPartDelta ToolCallPart ToolCallPartDelta ToolReturn ToolReturnPart UploadedFile
        UserContent UserPromptPart VideoUrl
    """,
    "app.ai.models.instrumented": "InstrumentationSettings",
    "app.ai.output": "NativeOutput PromptedOutput StructuredDict TextOutput ToolOutput",
    "app.ai.profiles": "ModelProfile ModelProfileSpec",
    "app.ai.run": "AgentRun AgentRunResult AgentRunResultEvent",
    "app.ai.settings": "ModelSettings ToolOrOutput",
    "app.ai.template": "TemplateStr",
    "app.ai.tools": "ObjectJsonSchema RunContext Tool ToolDefinition",
    "app.ai.toolsets": """
        AbstractToolset AgentToolset ApprovalRequiredToolset CombinedToolset DeferredLoadingToolset DynamicToolset
        ExternalToolset FilteredToolset FunctionToolset IncludeReturnSchemasToolset PrefixedToolset PreparedToolset
        RenamedToolset SetMetadataToolset ToolsetFunc ToolsetTool WrapperToolset
    """,
    "app.ai.usage": "RequestUsage RunUsage UsageLimits",
    "app.ai.concurrency": "AbstractConcurrencyLimiter AnyConcurrencyLimit ConcurrencyLimit ConcurrencyLimiter",
    "app.ai.models.concurrency": "ConcurrencyLimitedModel limit_model_concurrency",
    "app.ai.format_prompt": "format_as_xml",
    "app.ai.prompt_node": "UserPromptNode",
}
_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)
