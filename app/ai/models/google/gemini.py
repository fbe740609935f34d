"""A model behind Google's Gemini API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal, cast

import httpx
from pydantic import Field

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import ModelRequestParameters, StreamedResponse, check_allow_model_requests
from app.ai.models.answers import ProviderAnswer, read_answer
from app.ai.models.google.answers import Answer, AnswerReader
from app.ai.models.google.body import settings_body, tools_body
from app.ai.models.google.contents import system_instruction, to_contents
from app.ai.models.google.streaming import GoogleStreamedResponse
from app.ai.models.http import HTTPModel
from app.ai.native_tools import (
    AbstractNativeTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    WebFetchTool,
    WebSearchTool,
)
from app.ai.parts import ModelResponsePartsManager
from app.ai.profiles import ModelProfileSpec
from app.ai.profiles.google import GoogleModelProfile
from app.ai.providers import Provider, infer_provider
from app.ai.settings import ModelSettings
from app.ai.tools import RunContext
from app.ai.usage import RequestUsage

_COUNTED_ON_VERTEX = ("contents", "systemInstruction", "tools")


class _Count(ProviderAnswer):
    total_tokens: int = Field(alias="totalTokens")


class GoogleModel(HTTPModel):
    """A model behind the Gemini API, at Google or on Vertex AI."""

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[httpx.AsyncClient] | Literal["google-gla", "google-vertex"] = "google-gla",
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
        text = await self._ask(self._path("generateContent"), body, settings or {})
        parts = ModelResponsePartsManager()
        reader = AnswerReader(parts, self.system)
        reader.take(read_answer(Answer, text, self._model_name))
        reader.finish()
        if not reader.ended:
            raise UnexpectedModelBehavior(f"{self._model_name} answered without a reason of its end", text[:2000])
        return ModelResponse(
            parts=parts.get_parts(),
            usage=reader.usage,
            model_name=reader.model or self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
            provider_details=reader.provider_details,
            provider_response_id=reader.id,
            finish_reason=reader.finish_reason,
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
        path = f"{self._path('streamGenerateContent')}?alt=sse"
        async with self._sent(path, body, settings or {}) as response:
            streamed = GoogleStreamedResponse(
                parameters,
                http_response=response,
                requested_model=self._model_name,
                provider=self.system,
                url=self.base_url,
            )
            async with aclosing(streamed):
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
        counted: dict[str, Any] = {"generateContentRequest": {"model": f"models/{self._model_name}", **body}}
        if self._is_vertex:
            counted = {key: body[key] for key in _COUNTED_ON_VERTEX if key in body}
        text = await self._ask(self._path("countTokens"), counted, settings or {})
        return RequestUsage(input_tokens=read_answer(_Count, text, self._model_name).total_tokens)

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset({CodeExecutionTool, FileSearchTool, ImageGenerationTool, WebFetchTool, WebSearchTool})

    @property
    def _is_vertex(self) -> bool:
        return self.system == "google-vertex"

    def _path(self, method: str) -> str:
        return f"/models/{self._model_name}:{method}"

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "contents": await to_contents(messages, self.system, links_files=self._is_vertex),
            **settings_body(settings, parameters, GoogleModelProfile.from_profile(self.profile)),
            **tools_body(settings, parameters),
        }
        if system := system_instruction(messages, self.get_instructions(messages, parameters)):
            body["systemInstruction"] = system
        return body | cast("dict[str, Any]", settings.get("extra_body", {}))
