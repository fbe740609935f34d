"""A model behind the Responses API."""

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
from app.ai.models.openai.body import with_strictness
from app.ai.models.openai.responses_answers import Response, to_response
from app.ai.models.openai.responses_body import settings_body, tools_body
from app.ai.models.openai.responses_input import after_newest_response, to_input
from app.ai.models.openai.responses_streaming import OpenAIResponsesStreamedResponse
from app.ai.native_tools import (
    SUPPORTED_NATIVE_TOOLS,
    AbstractNativeTool,
    MemoryTool,
    WebFetchTool,
    XSearchTool,
)
from app.ai.profiles import ModelProfileSpec
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.providers import Provider, infer_provider
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext

_PATH = "/responses"


class OpenAIResponsesModel(HTTPModel):
    """A model behind the Responses API, of OpenAI or any server that speaks it."""

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
            read_answer(Response, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
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
        body = await self._body(messages, settings or {}, parameters)
        async with self._sent(_PATH, {**body, "stream": True}, settings or {}) as response:
            streamed = OpenAIResponsesStreamedResponse(
                parameters,
                http_response=response,
                requested_model=self._model_name,
                provider=self.system,
                url=self.base_url,
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
        return SUPPORTED_NATIVE_TOOLS - {MemoryTool, WebFetchTool, XSearchTool}

    @property
    def _openai_profile(self) -> OpenAIModelProfile:
        return OpenAIModelProfile.from_profile(self.profile)

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        given = cast("dict[str, Any]", settings)
        instructions = self.get_instructions(messages, parameters)
        previous: str | None = given.get("openai_previous_response_id")
        if previous == "auto":
            previous, messages = after_newest_response(messages, self.system)
        body: dict[str, Any] = {
            "model": self._model_name,
            "input": await to_input(
                messages,
                provider_name=self.system,
                system_role=self._openai_profile.openai_system_prompt_role,
                stored=given.get("openai_store") is not False,
            ),
            **settings_body(settings, parameters, self._openai_profile),
            **tools_body(settings, parameters),
        }
        if instructions:
            body["instructions"] = instructions
        if previous:
            body["previous_response_id"] = previous
        return body | cast("dict[str, Any]", settings.get("extra_body", {}))
