"""A model behind Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, cast

import httpx

from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import ModelRequestParameters, StreamedResponse, check_allow_model_requests
from app.ai.models.answers import ProviderAnswer, read_answer
from app.ai.models.anthropic.answers import Message, to_response
from app.ai.models.anthropic.messages import system_text, to_messages
from app.ai.models.anthropic.settings import CacheTTL, cache_control, settings_body
from app.ai.models.anthropic.streaming import AnthropicStreamedResponse
from app.ai.models.anthropic.tools import betas, output_format, tools_body
from app.ai.models.http import HTTPModel, is_event_stream
from app.ai.native_tools import (
    SUPPORTED_NATIVE_TOOLS,
    AbstractNativeTool,
    FileSearchTool,
    ImageGenerationTool,
    XSearchTool,
)
from app.ai.profiles import ModelProfileSpec
from app.ai.profiles.anthropic import AnthropicModelProfile
from app.ai.providers import Provider, infer_provider
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

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[httpx.AsyncClient] | Literal["anthropic"] = "anthropic",
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        found = infer_provider(provider) if isinstance(provider, str) else provider
        super().__init__(model_name, provider=found, profile=profile, settings=settings)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        body = await self._body(messages, settings or {}, parameters)
        if body["max_tokens"] > _MAX_TOKENS_UNSTREAMED:
            body["stream"] = True
        async with self._sent(_PATH, body, settings or {}, headers=_headers(settings or {}, parameters)) as response:
            if not is_event_stream(response):
                return self._to_response(await self._read(response))
            async with aclosing(self._streamed(response, parameters)) as streamed:
                async for _ in streamed:
                    pass
                return streamed.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        body = await self._body(messages, settings or {}, parameters)
        headers = _headers(settings or {}, parameters)
        async with (
            self._sent(_PATH, {**body, "stream": True}, settings or {}, headers=headers) as response,
            aclosing(self._streamed(response, parameters)) as streamed,
        ):
            yield streamed

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        check_allow_model_requests()
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        body = await self._body(messages, settings or {}, parameters)
        counted = {key: body[key] for key in _COUNTED if key in body}
        headers = _headers(settings or {}, parameters)
        text = await self._ask(f"{_PATH}/count_tokens", counted, settings or {}, headers=headers)
        return RequestUsage(input_tokens=read_answer(_Count, text, self._model_name).input_tokens)

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return SUPPORTED_NATIVE_TOOLS - {FileSearchTool, ImageGenerationTool, XSearchTool}

    def _streamed(self, response: httpx.Response, parameters: ModelRequestParameters) -> AnthropicStreamedResponse:
        return AnthropicStreamedResponse(
            parameters,
            http_response=response,
            requested_model=self._model_name,
            provider=self.system,
            url=self.base_url,
        )

    def _to_response(self, text: str) -> ModelResponse:
        return to_response(
            read_answer(Message, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
        )

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        profile = AnthropicModelProfile.from_profile(self.profile)
        body: dict[str, Any] = {
            "model": self._model_name,
            "messages": await to_messages(messages, self.system),
            **settings_body(settings, parameters.thinking, profile),
        }
        if system := system_text(messages, self.get_instructions(messages, parameters)):
            body["system"] = _cached_system(system, settings)
        if (ttl := _ttl(settings, "anthropic_cache_messages")) and body["messages"]:
            body["messages"][-1]["content"][-1]["cache_control"] = cache_control(ttl)
        if output := output_format(parameters):
            body["output_config"] = {**body.get("output_config", {}), "format": output}
        thinks = body.get("thinking", {}).get("type", "disabled") != "disabled"
        body |= tools_body(settings, parameters, thinks=thinks)
        return body | cast("dict[str, Any]", settings.get("extra_body", {}))


def _headers(settings: ModelSettings, parameters: ModelRequestParameters) -> dict[str, str]:
    given: list[str] = cast("Any", settings).get("anthropic_betas", [])
    wanted = ",".join(dict.fromkeys([*given, *betas(parameters)]))
    return {"anthropic-version": _VERSION, **({"anthropic-beta": wanted} if wanted else {})}


def _cached_system(system: str, settings: ModelSettings) -> str | list[dict[str, Any]]:
    ttl = _ttl(settings, "anthropic_cache_instructions")
    return [{"type": "text", "text": system, "cache_control": cache_control(ttl)}] if ttl else system


def _ttl(settings: ModelSettings, name: str) -> CacheTTL:
    return cast("Any", settings).get(name, False)
