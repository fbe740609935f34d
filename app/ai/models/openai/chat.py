"""A model behind the Chat Completions API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import httpx

from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import ModelRequestParameters, StreamedResponse, check_allow_model_requests
from app.ai.models.answers import read_answer
from app.ai.models.http import HTTPModel
from app.ai.models.openai.answers import Completion, to_response
from app.ai.models.openai.body import (
    OpenAIChatModelSettings,
    native_tools_body,
    output_body,
    settings_body,
    tools_body,
    with_strictness,
)
from app.ai.models.openai.messages import to_chat_messages
from app.ai.models.openai.streaming import OpenAIStreamedResponse
from app.ai.native_tools import AbstractNativeTool, WebSearchTool
from app.ai.profiles import ModelProfileSpec
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.providers import Provider, infer_provider
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext

__all__ = "OpenAIChatModel", "OpenAIChatModelSettings"

_PATH = "/chat/completions"


class OpenAIChatModel(HTTPModel):
    """A model behind the Chat Completions API, of OpenAI or any server that speaks it."""

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[httpx.AsyncClient] | str = "openai",
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
        text = await self._ask(_PATH, body, settings or {})
        return to_response(
            read_answer(Completion, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
            thinking_tags=self.profile.thinking_tags,
        )

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
        body = {**await self._body(messages, settings or {}, parameters), "stream": True}
        if self._openai_profile.openai_supports_stream_options:
            continuous = bool(settings and settings.get("openai_continuous_usage_stats"))
            body["stream_options"] = {"include_usage": True, **({"continuous_usage_stats": True} if continuous else {})}
        async with self._sent(_PATH, body, settings or {}) as response:
            streamed = OpenAIStreamedResponse(
                parameters,
                http_response=response,
                requested_model=self._model_name,
                provider=self.system,
                url=self.base_url,
                profile=self.profile,
            )
            async with aclosing(streamed):
                yield streamed

    def customize_request_parameters(self, model_request_parameters: ModelRequestParameters) -> ModelRequestParameters:
        parameters, profile = model_request_parameters, self._openai_profile
        return replace(
            parameters,
            function_tools=[with_strictness(tool, profile) for tool in parameters.function_tools],
            output_tools=[with_strictness(tool, profile) for tool in parameters.output_tools],
        )

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset({WebSearchTool} if self._openai_profile.openai_supports_web_search else ())

    @property
    def _openai_profile(self) -> OpenAIModelProfile:
        return OpenAIModelProfile.from_profile(self.profile)

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        chat = await to_chat_messages(
            messages,
            instructions=self.get_instructions(messages, parameters),
            provider_name=self.system,
            system_role=self._openai_profile.openai_system_prompt_role,
        )
        return {
            "model": self._model_name,
            "messages": chat,
            **native_tools_body(parameters, self._openai_profile),
            **tools_body(settings, parameters, self._openai_profile),
            **output_body(parameters, self._openai_profile),
            **settings_body(settings, parameters.thinking, self._openai_profile),
            **cast("dict[str, Any]", settings.get("extra_body", {})),
        }


"""+"""
