"""The names that programs import from the agent core, by module. They are only ever added to."""

import ast
import importlib
import warnings
from pathlib import Path

import pytest

import app.ai

NAMES = {
    "app.ai.agent": """
        AbstractAgent Agent AgentInstructions AgentMetadata AgentModelSettings AgentRetries AgentRun
        AgentRunResult AgentRunResultEvent AgentSpec CallToolsNode EndStrategy EventStreamHandler
        InstrumentationSettings ModelRequestNode ParallelExecutionMode RunOutputDataT UserPromptNode
        WrapperAgent capture_run_messages
    """,
    "app.ai.agent.abstract": "AbstractAgent EventStreamHandler RunOutputDataT",
    "app.ai.agent.spec": "AgentSpec",
    "app.ai.agent.wrapper": "WrapperAgent",
    "app.ai.builtin_tools": """
        AbstractBuiltinTool BUILTIN_TOOL_TYPES CodeExecutionTool FileSearchTool ImageGenerationTool
        MCPServerTool MemoryTool SUPPORTED_BUILTIN_TOOLS UrlContextTool WebFetchTool WebSearchTool
        WebSearchUserLocation
    """,
    "app.ai.capabilities": """
        AbstractCapability AgentCapability AgentNode BuiltinOrLocalTool BuiltinTool CAPABILITY_TYPES
        Capability CapabilityFunc
        CapabilityOrdering CapabilityPosition CapabilityRef CombinedCapability DynamicCapability
        HandleDeferredToolCalls HistoryProcessor HookTimeoutError Hooks ImageGeneration IncludeToolReturnSchemas
        Instrumentation MCP MCPServers ModelRequestContext NativeOrLocalTool NativeTool NodeResult OutputContext
        PrefixTools PrepareOutputTools PrepareTools ProcessEventStream ProcessHistory RawOutput RawToolArgs
        ReinjectSystemPrompt SetToolMetadata Thinking ThreadExecutor ToolSearch Toolset ValidatedToolArgs
        WebFetch WebSearch WrapModelRequestHandler WrapNodeRunHandler WrapOutputProcessHandler
        WrapOutputValidateHandler WrapRunHandler WrapToolExecuteHandler WrapToolValidateHandler
        WrapperCapability XSearch
    """,
    "app.ai.concurrency": """
        AbstractConcurrencyLimiter AnyConcurrencyLimit ConcurrencyLimit ConcurrencyLimiter
        get_concurrency_context normalize_to_limiter
    """,
    "app.ai.direct": """
        StreamedResponseSync model_request model_request_stream model_request_stream_sync model_request_sync
    """,
    "app.ai.durable_exec.dbos": "DBOSAgent DBOSMCPServer DBOSModel DBOSParallelExecutionMode StepConfig",
    "app.ai.durable_exec.prefect": "PrefectAgent PrefectFunctionToolset PrefectMCPServer PrefectModel TaskConfig",
    "app.ai.durable_exec.temporal": """
        AgentPlugin LogfirePlugin PydanticAIPlugin PydanticAIWorkflow TemporalAgent TemporalRunContext
        TemporalWrapperToolset
    """,
    "app.ai.exceptions": """
        AgentRunError ApprovalRequired CallDeferred ConcurrencyLimitExceeded ContentFilterError
        FallbackExceptionGroup IncompleteToolCall ModelAPIError ModelHTTPError ModelRetry SkipModelRequest
        SkipToolExecution SkipToolValidation ToolRetryError UndrainedPendingMessagesError
        UnexpectedModelBehavior UsageLimitExceeded UserError
    """,
    "app.ai.ext.langchain": "LangChainTool LangChainToolset tool_from_langchain",
    "app.ai.format_prompt": "format_as_xml",
    "app.ai.graph": "BaseNode End GraphRunContext",
    "app.ai.mcp": """
        CallToolFunc MCPError MCPServer MCPServerHTTP MCPServerSSE MCPServerStdio MCPServerStreamableHTTP MCPToolset
        ProcessToolCallback Resource ResourceAnnotations ResourceTemplate ServerCapabilities ToolResult
        load_mcp_servers
    """,
    "app.ai.messages": """
        AgentStreamEvent AudioFormat AudioMediaType AudioUrl BaseToolCallPart BaseToolReturnPart
        BinaryContent BinaryImage BuiltinToolCallEvent BuiltinToolCallPart BuiltinToolResultEvent
        BuiltinToolReturnPart CachePoint CompactionPart DocumentFormat DocumentMediaType DocumentUrl
        FilePart FileUrl FinalResultEvent FinishReason ForceDownloadMode FunctionToolCallEvent
        FunctionToolResultEvent HandleResponseEvent ImageFormat ImageMediaType ImageUrl InstructionPart
        LoadCapabilityArgs LoadCapabilityCallPart LoadCapabilityReturnContent LoadCapabilityReturnPart
        ModelMessage ModelMessagesTypeAdapter ModelRequest ModelRequestPart ModelResponse
        ModelResponsePart ModelResponsePartDelta ModelResponseState ModelResponseStreamEvent
        MultiModalContent NativeToolCallPart NativeToolReturnPart NativeToolSearchCallPart
        NativeToolSearchReturnPart OutputToolCallEvent OutputToolResultEvent PartDeltaEvent PartEndEvent
        PartStartEvent ProviderDetailsDelta RetryPromptPart SystemPromptPart TextContent TextPart
        TextPartDelta ThinkingPart ThinkingPartDelta ToolCallPart ToolCallPartDelta ToolPartKind
        ToolReturn ToolReturnContent ToolReturnPart ToolSearchArgs ToolSearchCallPart ToolSearchMatch
        ToolSearchReturnContent ToolSearchReturnPart UploadedFile UploadedFileProviderName UserContent
        UserPromptPart VideoFormat VideoMediaType VideoUrl is_multi_modal_content
    """,
    "app.ai.models": """
        ALLOW_MODEL_REQUESTS DEFAULT_HTTP_TIMEOUT DownloadedItem KnownModelName Model ModelRequestContext
        ModelRequestParameters StreamedResponse cached_async_http_client check_allow_model_requests
        create_async_http_client download_item get_user_agent infer_model infer_model_profile
        override_allow_model_requests parse_model_id
    """,
    "app.ai.models.anthropic": """
        AnthropicModel AnthropicModelName AnthropicModelSettings AnthropicStreamedResponse
        LatestAnthropicModelNames
    """,
    "app.ai.models.cerebras": "CerebrasModel CerebrasModelName CerebrasModelSettings",
    "app.ai.models.cohere": "CohereModel CohereModelName CohereModelSettings LatestCohereModelNames",
    "app.ai.models.concurrency": "ConcurrencyLimitedModel limit_model_concurrency",
    "app.ai.models.fallback": "ExceptionHandler FallbackModel FallbackOn ResponseHandler",
    "app.ai.models.function": """
        AgentInfo BuiltinToolCallsReturns DeltaThinkingCalls DeltaThinkingPart DeltaToolCall DeltaToolCalls
        FunctionDef FunctionModel FunctionStreamedResponse NativeToolCallsReturns StreamFunctionDef
    """,
    "app.ai.models.google": """
        GeminiStreamedResponse GoogleModel GoogleModelName GoogleModelSettings LatestGoogleModelNames
    """,
    "app.ai.models.groq": """
        GroqModel GroqModelName GroqModelSettings GroqStreamedResponse PreviewGroqModelNames
        ProductionGroqModelNames
    """,
    "app.ai.models.huggingface": """
        HuggingFaceModel HuggingFaceModelName HuggingFaceModelSettings HuggingFaceStreamedResponse
        LatestHuggingFaceModelNames
    """,
    "app.ai.models.instrumented": """
        CostCalculationFailedWarning InstrumentationSettings InstrumentedModel instrument_model
    """,
    "app.ai.models.mcp_sampling": "MCPSamplingModel MCPSamplingModelSettings",
    "app.ai.models.mistral": """
        LatestMistralModelNames MistralModel MistralModelName MistralModelSettings MistralStreamedResponse
    """,
    "app.ai.models.ollama": "OllamaModel OllamaModelName",
    "app.ai.models.openai": """
        OpenAIChatModel OpenAIChatModelSettings OpenAIModel OpenAIModelName OpenAIModelSettings
        OpenAIResponsesModel OpenAIResponsesModelSettings OpenAIResponsesStreamedResponse OpenAIStreamedResponse
    """,
    "app.ai.models.openrouter": """
        OpenRouterMaxPrice OpenRouterModel OpenRouterModelName OpenRouterModelSettings OpenRouterProviderConfig
        OpenRouterReasoning OpenRouterStreamedResponse OpenRouterUsageConfig
    """,
    "app.ai.models.test": "TestModel TestStreamedResponse",
    "app.ai.models.wrapper": "CompletedStreamedResponse WrapperModel",
    "app.ai.models.xai": "XaiModel XaiModelName XaiModelSettings",
    "app.ai.models.zai": "ZaiModel ZaiModelName ZaiModelSettings",
    "app.ai.native_tools": """
        AbstractNativeTool CodeExecutionTool FileSearchTool ImageAspectRatio ImageGenerationTool MCPServerTool
        MemoryTool
        NATIVE_TOOL_TYPES SUPPORTED_NATIVE_TOOLS ToolSearchTool WebFetchTool WebSearchTool WebSearchUserLocation
        XSearchTool
    """,
    "app.ai.output": """
        DeferredToolRequests NativeOutput OutputContext OutputDataT OutputMode OutputObjectDefinition OutputSpec
        OutputTypeOrFunction PromptedOutput StructuredDict StructuredOutputMode TextOutput TextOutputFunc
        ToolOutput
    """,
    "app.ai.profiles": """
        DEFAULT_PROFILE InlineDefsJsonSchemaTransformer JsonSchemaTransformer ModelProfile ModelProfileSpec
    """,
    "app.ai.profiles.amazon": "amazon_model_profile",
    "app.ai.profiles.anthropic": "AnthropicJsonSchemaTransformer AnthropicModelProfile anthropic_model_profile",
    "app.ai.profiles.cohere": "cohere_model_profile",
    "app.ai.profiles.deepseek": "deepseek_model_profile",
    "app.ai.profiles.google": "GoogleJsonSchemaTransformer GoogleModelProfile google_model_profile",
    "app.ai.profiles.grok": "GrokModelProfile grok_model_profile",
    "app.ai.profiles.groq": "GroqModelProfile groq_model_profile",
    "app.ai.profiles.harmony": "harmony_model_profile",
    "app.ai.profiles.meta": "meta_model_profile",
    "app.ai.profiles.mistral": "mistral_model_profile",
    "app.ai.profiles.moonshotai": "moonshotai_model_profile",
    "app.ai.profiles.openai": """
        OpenAIJsonSchemaTransformer OpenAIModelProfile OpenAISystemPromptRole openai_model_profile
    """,
    "app.ai.profiles.qwen": "qwen_model_profile",
    "app.ai.profiles.zai": "zai_model_profile",
    "app.ai.providers": "Provider infer_provider infer_provider_class",
    "app.ai.providers.anthropic": "AnthropicProvider",
    "app.ai.providers.azure": "AzureProvider",
    "app.ai.providers.cerebras": "CerebrasProvider",
    "app.ai.providers.cohere": "CohereProvider",
    "app.ai.providers.deepseek": "DeepSeekProvider",
    "app.ai.providers.fireworks": "FireworksProvider",
    "app.ai.providers.gateway": "gateway_provider",
    "app.ai.providers.github": "GitHubProvider",
    "app.ai.providers.google": "GoogleProvider",
    "app.ai.providers.grok": "GrokProvider",
    "app.ai.providers.groq": "GroqProvider",
    "app.ai.providers.heroku": "HerokuProvider",
    "app.ai.providers.huggingface": "HuggingFaceProvider",
    "app.ai.providers.litellm": "LiteLLMProvider",
    "app.ai.providers.mistral": "MistralProvider",
    "app.ai.providers.moonshotai": "MoonshotAIProvider",
    "app.ai.providers.nebius": "NebiusProvider",
    "app.ai.providers.ollama": "OllamaProvider",
    "app.ai.providers.openai": "OpenAIProvider",
    "app.ai.providers.openrouter": "OpenRouterProvider",
    "app.ai.providers.ovhcloud": "OVHcloudProvider",
    "app.ai.providers.sambanova": "SambaNovaProvider",
    "app.ai.providers.together": "TogetherProvider",
    "app.ai.providers.vercel": "VercelProvider",
    "app.ai.providers.xai": "XaiProvider",
    "app.ai.result": "AgentStream FinalResult OutputDataT StreamedRunResult StreamedRunResultSync",
    "app.ai.retries": "AsyncTenacityTransport RetryConfig TenacityTransport wait_retry_after",
    "app.ai.run": "AgentEventStream AgentRun AgentRunResult AgentRunResultEvent",
    "app.ai.settings": """
        ModelSettings ServiceTier ThinkingEffort ThinkingLevel ToolChoice ToolChoiceScalar ToolOrOutput
        merge_model_settings
    """,
    "app.ai.template": "TemplateStr",
    "app.ai.tools": """
        AgentBuiltinTool AgentDepsT AgentNativeTool ArgsValidatorFunc BuiltinToolFunc
        DeferredToolApprovalResult DeferredToolCallResult DeferredToolRequests DeferredToolResult
        DeferredToolResults DocstringFormat GenerateToolJsonSchema NativeToolFunc ObjectJsonSchema
        RunContext RunContextAgentDepsT SystemPromptFunc Tool ToolApproved ToolDefinition ToolDenied
        ToolFuncContext ToolFuncEither ToolFuncPlain ToolKind ToolParams ToolPrepareFunc ToolSelector
        ToolsPrepareFunc matches_tool_selector
    """,
    "app.ai.toolsets": """
        AbstractToolset AgentToolset ApprovalRequiredToolset CombinedToolset DeferredLoadingToolset
        DeferredToolset DynamicToolset ExternalToolset FilteredToolset FunctionToolset
        IncludeReturnSchemasToolset PrefixedToolset PreparedToolset RenamedToolset SchemaValidatorProt
        SetMetadataToolset ToolsetFunc ToolsetTool WrapperToolset
    """,
    "app.ai.toolsets.abstract": "AbstractToolset SchemaValidatorProt ToolsetInstructions ToolsetTool",
    "app.ai.toolsets.approval_required": "ApprovalRequiredToolset",
    "app.ai.toolsets.combined": "CombinedToolset",
    "app.ai.toolsets.deferred_loading": "DeferredLoadingToolset",
    "app.ai.toolsets.dynamic": "DynamicToolset ToolsetFunc",
    "app.ai.toolsets.external": "DeferredToolset ExternalToolset",
    "app.ai.toolsets.filtered": "FilteredToolset",
    "app.ai.toolsets.function": "FunctionToolset FunctionToolsetTool",
    "app.ai.toolsets.include_return_schemas": "IncludeReturnSchemasToolset",
    "app.ai.toolsets.prefixed": "PrefixedToolset",
    "app.ai.toolsets.prepared": "PreparedToolset",
    "app.ai.toolsets.renamed": "RenamedToolset",
    "app.ai.toolsets.set_metadata": "SetMetadataToolset",
    "app.ai.toolsets.wrapper": "WrapperToolset",
    "app.ai.usage": "RequestUsage RunUsage Usage UsageBase UsageLimits",
}


@pytest.mark.parametrize("module", NAMES)
def test_a_module_has_its_public_names_and_importing_them_warns_of_nothing(module: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = importlib.import_module(module)
        assert [name for name in NAMES[module].split() if not hasattr(loaded, name)] == []


def test_everything_at_the_top_can_be_imported_also_by_a_star_and_nothing_else():
    names: dict[str, object] = {}
    exec("from app.ai import *", names)
    assert names.keys() - {"__builtins__"} == set(dir(app.ai))
    assert {"Agent", "RunContext", "Tool", "FunctionToolset", "BuiltinToolCallPart", "WebSearchTool"} <= names.keys()
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = app.ai.Nothing  # type: ignore[attr-defined]


def test_the_names_for_type_checkers_are_those_of_the_program():
    tree = ast.parse(Path(app.ai.__file__).read_text())
    declared = {
        alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert declared == set(dir(app.ai))
