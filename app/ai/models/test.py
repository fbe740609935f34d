"""A model for tests that calls every tool once and then answers, with data made from the schemas."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import pydantic_core

from app.ai.exceptions import UserError
from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from app.ai.models import Model, ModelRequestParameters, StreamedResponse
from app.ai.models.estimated_usage import estimate_text, estimate_usage
from app.ai.models.schema_sample import SchemaSample
from app.ai.native_tools import AbstractNativeTool
from app.ai.profiles import ModelProfile, ModelProfileSpec
from app.ai.settings import ModelSettings
from app.ai.texts import TEST_MODEL_NO_TOOL_CALLS
from app.ai.tools import RunContext, ToolDefinition
from app.ai.usage import RequestUsage

__all__ = "TestModel", "TestStreamedResponse"

_PROFILE = ModelProfile(supports_json_schema_output=True, supports_json_object_output=True)


class TestModel(Model):
    """Calls the chosen function tools at once with made-up arguments, then gives a made-up or custom output.

    Tools that ask for a retry are called again. The seed picks the output tool and the made-up data.
    """

    __test__ = False  # not a test case for pytest

    last_model_request_parameters: ModelRequestParameters | None
    """What the newest request offered to the model."""

    def __init__(
        self,
        *,
        call_tools: list[str] | Literal["all"] = "all",
        custom_output_text: str | None = None,
        custom_output_args: Any = None,
        seed: int = 0,
        model_name: str = "test",
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        assert custom_output_text is None or custom_output_args is None, "Give custom output text or args, not both."
        super().__init__(settings=settings, profile=profile or _PROFILE)
        self.call_tools = call_tools
        self.custom_output_text = custom_output_text
        self.custom_output_args = custom_output_args
        self.seed = seed
        self.last_model_request_parameters = None
        self._model_name = model_name

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def system(self) -> str:
        return "test"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        response = self._respond(messages, parameters)
        response.usage = estimate_usage([*messages, response])
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        _, parameters = self.prepare_request(model_settings, model_request_parameters)
        response = TestStreamedResponse(parameters, self._respond(messages, parameters), estimate_usage(messages))
        async with aclosing(response):
            yield response

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset()

    def gen_tool_args(self, tool_def: ToolDefinition) -> Any:
        """Made-up arguments for a tool."""
        return SchemaSample(tool_def.parameters_json_schema, self.seed).make()

    def _respond(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> ModelResponse:
        self.last_model_request_parameters = parameters
        parts: list[ModelResponsePart] = []
        if not any(isinstance(message, ModelResponse) for message in messages):
            parts += [self._call(tool) for tool in self._chosen_tools(parameters)]
        else:
            parts += self._retried_calls(messages, parameters)
        return ModelResponse(parts=parts or [self._output(messages, parameters)], model_name=self._model_name)

    def _chosen_tools(self, parameters: ModelRequestParameters) -> list[ToolDefinition]:
        if self.call_tools == "all":
            return parameters.function_tools
        by_name = {tool.name: tool for tool in parameters.function_tools}
        if unknown := [name for name in self.call_tools if name not in by_name]:
            raise UserError(f"TestModel is to call {unknown[0]!r}, but the tools are {sorted(by_name)}.")
        return [by_name[name] for name in self.call_tools]

    def _retried_calls(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> list[ToolCallPart]:
        names = {part.tool_name for part in messages[-1].parts if isinstance(part, RetryPromptPart)}
        calls = [self._call(tool) for tool in self._chosen_tools(parameters) if tool.name in names]
        return calls + [self._output_call(tool) for tool in parameters.output_tools if tool.name in names]

    def _call(self, tool: ToolDefinition, args: Any = None) -> ToolCallPart:
        args = self.gen_tool_args(tool) if args is None else args
        return ToolCallPart(tool.name, args, tool_call_id=f"pyd_ai_tool_call_id__{tool.name}")

    def _output_call(self, tool: ToolDefinition) -> ToolCallPart:
        args = self.custom_output_args
        if args is not None and tool.outer_typed_dict_key:
            args = {tool.outer_typed_dict_key: args}
        return self._call(tool, args)

    def _output(self, messages: list[ModelMessage], parameters: ModelRequestParameters) -> ModelResponsePart:
        tools = parameters.output_tools
        if self.custom_output_text is not None:
            assert parameters.allow_text_output, "`custom_output_text` is set, but the output has to be a tool call."
            return TextPart(self.custom_output_text)
        if self.custom_output_args is not None:
            assert tools, "`custom_output_args` is set, but there are no output tools."
        if tools and (self.custom_output_args is not None or not parameters.allow_text_output):
            return self._output_call(tools[self.seed % len(tools)])
        if parameters.output_object:
            sample = SchemaSample(parameters.output_object.json_schema, self.seed).make()
            return TextPart(pydantic_core.to_json(sample).decode())
        return TextPart(_returns_as_text(messages))


def _returns_as_text(messages: list[ModelMessage]) -> str:
    returns = {
        part.tool_name: part.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    return pydantic_core.to_json(returns).decode() if returns else TEST_MODEL_NO_TOOL_CALLS


@dataclass
class TestStreamedResponse(StreamedResponse):
    """A made-up response, word by word."""

    __test__ = False  # not a test case for pytest

    response: ModelResponse
    base_usage: RequestUsage

    def __post_init__(self) -> None:
        self._usage = self.base_usage

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for index, part in enumerate(self.response.parts):
            if not isinstance(part, TextPart):
                for event in self._parts_manager.handle_part(vendor_part_id=index, part=part):
                    yield event
                continue
            for word in ("", *_words(part.content)):
                self._usage += RequestUsage(output_tokens=estimate_text(word))
                for event in self._parts_manager.handle_text_delta(vendor_part_id=index, content=word):
                    yield event

    @property
    def model_name(self) -> str:
        return self.response.model_name or ""

    @property
    def provider_name(self) -> str:
        return "test"

    @property
    def timestamp(self) -> datetime:
        return self.response.timestamp


def _words(text: str) -> list[str]:
    """Word by word; a single word in two halves, so that there is something to stream."""
    *words, last = text.split(" ")
    if words or len(text) < 3:
        return [*(f"{word} " for word in words), last]
    middle = len(text) // 2
    return [text[:middle], text[middle:]]
