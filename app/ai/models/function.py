"""A model that is a Python function."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from app.ai.callbacks import call_user_function, function_name
from app.ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
)
from app.ai.models import Model, ModelRequestParameters, StreamedResponse
from app.ai.models.estimated_usage import estimate_text, estimate_usage
from app.ai.native_tools import SUPPORTED_NATIVE_TOOLS, AbstractNativeTool
from app.ai.profiles import ModelProfile, ModelProfileSpec
from app.ai.settings import ModelSettings
from app.ai.stamps import now_utc
from app.ai.tools import RunContext, ToolDefinition
from app.ai.usage import RequestUsage

__all__ = (
    "AgentInfo",
    "BuiltinToolCallsReturns",
    "DeltaThinkingCalls",
    "DeltaThinkingPart",
    "DeltaToolCall",
    "DeltaToolCalls",
    "FunctionDef",
    "FunctionModel",
    "FunctionStreamedResponse",
    "NativeToolCallsReturns",
    "StreamFunctionDef",
)

_PROFILE = ModelProfile(supports_json_schema_output=True, supports_json_object_output=True)


@dataclass(frozen=True, kw_only=True)
class AgentInfo:
    """What a model function is told about the request besides the messages."""

    function_tools: list[ToolDefinition]
    allow_text_output: bool
    output_tools: list[ToolDefinition]
    model_settings: ModelSettings | None
    model_request_parameters: ModelRequestParameters
    instructions: str | None


@dataclass
class DeltaToolCall:
    """A piece of a streamed tool call; `json_args` are a piece of the arguments' JSON."""

    name: str | None = None
    json_args: str | None = None
    _: KW_ONLY
    tool_call_id: str | None = None


@dataclass
class DeltaThinkingPart:
    """A piece of streamed thinking."""

    content: str | None = None
    _: KW_ONLY
    signature: str | None = None


DeltaToolCalls: TypeAlias = dict[int, DeltaToolCall]
"""Pieces of tool calls by the index of the call within the response."""
DeltaThinkingCalls: TypeAlias = dict[int, DeltaThinkingPart]
"""Pieces of thinking by the index of the part within the response."""
BuiltinToolCallsReturns: TypeAlias = dict[int, NativeToolCallPart | NativeToolReturnPart]
"""Whole parts of native tools by the index of the part within the response."""
NativeToolCallsReturns = BuiltinToolCallsReturns

FunctionDef: TypeAlias = Callable[[list[ModelMessage], AgentInfo], ModelResponse | Awaitable[ModelResponse]]
StreamItem: TypeAlias = str | DeltaToolCalls | DeltaThinkingCalls | BuiltinToolCallsReturns
StreamFunctionDef: TypeAlias = Callable[[list[ModelMessage], AgentInfo], AsyncIterator[StreamItem]]


class FunctionModel(Model):
    """Asks a function instead of a provider. A synchronous function runs in a thread.

    `stream_function` is an async generator of text, or of pieces of other parts by index. Usage is estimated unless
    the function gives one.
    """

    function: FunctionDef | None
    stream_function: StreamFunctionDef | None

    def __init__(
        self,
        function: FunctionDef | None = None,
        *,
        stream_function: StreamFunctionDef | None = None,
        model_name: str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        if function is None and stream_function is None:
            raise TypeError("Give `function`, `stream_function` or both.")
        super().__init__(settings=settings, profile=profile or _PROFILE)
        self.function = function
        self.stream_function = stream_function
        names = (function_name(function) if function else "" for function in (function, stream_function))
        self._model_name = model_name or ":".join(("function", *names))

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def system(self) -> str:
        return "function"

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return SUPPORTED_NATIVE_TOOLS

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        assert self.function, "This FunctionModel has no `function`, which a request without streaming needs."
        info = self._agent_info(messages, model_settings, model_request_parameters)
        response: ModelResponse = await call_user_function(self.function, messages, info)
        response.model_name = response.model_name or self._model_name
        if not response.usage.has_values():
            response.usage = estimate_usage([*messages, response])
        return response

    @property
    def can_stream(self) -> bool:
        return self.stream_function is not None

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        assert self.stream_function, "This FunctionModel has no `stream_function`, which a streaming request needs."
        info = self._agent_info(messages, model_settings, model_request_parameters)
        items = self.stream_function(messages, info)
        try:
            first = await anext(items, None)
            if first is None:
                raise ValueError("The stream function of a FunctionModel has to yield at least one item.")
            response = FunctionStreamedResponse(info.model_request_parameters, first, items, self._model_name)
            async with aclosing(response):
                yield response
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    def _agent_info(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> AgentInfo:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        return AgentInfo(
            function_tools=parameters.function_tools,
            allow_text_output=parameters.allow_text_output,
            output_tools=parameters.output_tools,
            model_settings=settings,
            model_request_parameters=parameters,
            instructions=self.get_instructions(messages, parameters),
        )


@dataclass
class FunctionStreamedResponse(StreamedResponse):
    """What a stream function yields, as a response."""

    first: StreamItem
    rest: AsyncIterator[StreamItem]
    name: str
    made_at: datetime = field(default_factory=now_utc)
    _native_parts: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._usage = estimate_usage([])

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for event in self._take(self.first):
            yield event
        async for item in self.rest:
            for event in self._take(item):
                yield event

    def _take(self, item: StreamItem) -> list[ModelResponseStreamEvent]:
        if isinstance(item, str):
            self._count(item)
            # All text is one part, except that a native tool's part ends it: what follows is another text.
            return self._parts_manager.handle_text_delta(vendor_part_id=f"content-{self._native_parts}", content=item)
        return [event for index, delta in item.items() for event in self._take_delta(index, delta)]

    def _take_delta(
        self, index: int, delta: DeltaToolCall | DeltaThinkingPart | NativeToolCallPart | NativeToolReturnPart
    ) -> list[ModelResponseStreamEvent]:
        match delta:
            case DeltaToolCall():
                self._count(delta.json_args)
                return self._parts_manager.handle_tool_call_delta(
                    vendor_part_id=index,
                    tool_name=delta.name,
                    args=delta.json_args,
                    tool_call_id=delta.tool_call_id,
                )
            case DeltaThinkingPart():
                self._count(delta.content)
                return self._parts_manager.handle_thinking_delta(
                    vendor_part_id=index,
                    content=delta.content,
                    signature=delta.signature,
                    # A signature is of use only to the one who made it.
                    provider_name="function" if delta.signature else None,
                )
            case _:
                self._native_parts += 1
                self._count(
                    delta.args_as_json_str() if isinstance(delta, NativeToolCallPart) else delta.model_response_str()
                )
                return self._parts_manager.handle_part(vendor_part_id=index, part=delta)

    def _count(self, text: str | None) -> None:
        self._usage += RequestUsage(output_tokens=estimate_text(text or ""))

    @property
    def model_name(self) -> str:
        return self.name

    @property
    def provider_name(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self.made_at
