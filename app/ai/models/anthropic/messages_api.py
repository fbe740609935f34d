"""A model behind Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import check_allow_model_requests
from app.ai.models.answers import ProviderAnswer, read_answer
from app.ai.models.anthropic.answers import MAX_PAUSES, Message, is_paused, to_response
from app.ai.models.anthropic.messages import system_text, to_messages
from app.ai.models.anthropic.settings import CacheTTL, cache_control, settings_body
from app.ai.models.anthropic.streaming import AnthropicStreamedResponse
from app.ai.models.anthropic.tools import betas, output_format, tools_body
from app.ai.models.http import HTTPModel, Question
from app.ai.models.http_stream import OpenAnswer
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.streamed_response import StreamedResponse
from app.ai.native_tools import (
    SUPPORTED_NATIVE_TOOLS,
    AbstractNativeTool,
    FileSearchTool,
    ImageGenerationTool,
    XSearchTool,
)
from app.ai.profiles.anthropic import AnthropicModelProfile
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext
from app.ai.usage import RequestUsage

_PATH = "/v1/messages"
_VERSION = "2023-06-01"
_MAX_TOKENS_UNSTREAMED = 16_384
"""Longer answers may be silent for longer than a connection survives, so they are streamed in any case."""
_COUNTED = ("model", "messages", "system", "tools", "tool_choice", "thinking", "mcp_servers")


class _Count(ProviderAnswer):
    input_tokens: int


class AnthropicModel(HTTPModel):
    """A model behind the Messages API, of Anthropic or a server that speaks it."""

    default_provider = "anthropic"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        response = await super().request(messages, model_settings, model_request_parameters)
        for _ in range(MAX_PAUSES):
            if not is_paused(response):
                break
            more = await super().request([*messages, response], model_settings, model_request_parameters)
            response = replace(more, parts=[*response.parts, *more.parts], usage=response.usage + more.usage)
        return response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        ask = super().request_stream
        async with ask(messages, model_settings, model_request_parameters, run_context) as stream:
            if isinstance(stream, AnthropicStreamedResponse):
                stream.go_on = lambda so_far: ask(
                    [*messages, so_far], model_settings, model_request_parameters, run_context
                )
            yield stream

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        check_allow_model_requests()
        settings, parameters = self._prepared(model_settings, model_request_parameters)
        body = await self._whole_body(messages, settings, parameters)
        counted = {key: body[key] for key in _COUNTED if key in body}
        headers = _headers(body, settings, parameters)
        text = await self._ask(Question(path=f"{_PATH}/count_tokens", body=counted, headers=headers), settings)
        return RequestUsage(input_tokens=read_answer(_Count, text, self._model_name).input_tokens)

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        output = model_request_parameters.output_object
        if output is not None and output.strict is None:
            # The API takes no other form of native output than one that it enforces.
            strict = replace(output, strict=True)
            model_request_parameters = replace(model_request_parameters, output_object=strict)
        return super().customize_request_parameters(model_request_parameters)

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return SUPPORTED_NATIVE_TOOLS - {FileSearchTool, ImageGenerationTool, XSearchTool}

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        profile = AnthropicModelProfile.from_profile(self.profile)
        body: dict[str, Any] = {
            "model": self._model_name,
            "messages": await to_messages(messages, self.system, later=profile.anthropic_supports_system_messages),
            **settings_body(settings, parameters.thinking, profile),
        }
        instructions = self.get_instructions(messages, parameters)
        if system := system_text(messages, instructions, later=profile.anthropic_supports_system_messages):
            body["system"] = _cached_system(system, settings)
        if (ttl := _ttl(settings, "anthropic_cache_messages")) and body["messages"]:
            body["messages"][-1]["content"][-1]["cache_control"] = cache_control(ttl)
        if output := output_format(parameters):
            body["output_config"] = {**body.get("output_config", {}), "format": output}
        thinks = body.get("thinking", {}).get("type", "disabled") != "disabled"
        return body | tools_body(settings, parameters, thinks=thinks)

    def _question(
        self, body: dict[str, Any], settings: ModelSettings, parameters: ModelRequestParameters, *, stream: bool
    ) -> Question:
        headers = _headers(body, settings, parameters)
        return Question(path=_PATH, body={**body, "stream": True} if stream else body, headers=headers)

    def _streams_anyway(self, body: Mapping[str, Any]) -> bool:
        return body["max_tokens"] > _MAX_TOKENS_UNSTREAMED

    def _to_response(self, text: str) -> ModelResponse:
        return to_response(
            read_answer(Message, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
        )

    def _streamed(self, answer: OpenAnswer, parameters: ModelRequestParameters) -> AnthropicStreamedResponse:
        return AnthropicStreamedResponse(parameters, answer)


def _headers(body: Mapping[str, Any], settings: ModelSettings, parameters: ModelRequestParameters) -> dict[str, str]:
    given: list[str] = cast("Any", settings).get("anthropic_betas", [])
    wanted = ",".join(dict.fromkeys([*given, *betas(body, parameters)]))
    return {"anthropic-version": _VERSION, **({"anthropic-beta": wanted} if wanted else {})}


def _cached_system(system: str, settings: ModelSettings) -> str | list[dict[str, Any]]:
    ttl = _ttl(settings, "anthropic_cache_instructions")
    return [{"type": "text", "text": system, "cache_control": cache_control(ttl)}] if ttl else system


def _ttl(settings: ModelSettings, name: str) -> CacheTTL:
    return cast("Any", settings).get(name, False)
