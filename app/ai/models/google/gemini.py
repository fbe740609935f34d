"""A model behind Google's Gemini API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import check_allow_model_requests
from app.ai.models.answers import ProviderAnswer, read_answer, read_pieces
from app.ai.models.google.answers import Answer, AnswerReader
from app.ai.models.google.body import settings_body, tools_body
from app.ai.models.google.contents import system_instruction, to_contents
from app.ai.models.google.streaming import GoogleStreamedResponse
from app.ai.models.http import HTTPModel, Question
from app.ai.models.http_stream import OpenAnswer
from app.ai.models.parameters import ModelRequestParameters
from app.ai.native_tools import (
    AbstractNativeTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    WebFetchTool,
    WebSearchTool,
)
from app.ai.parts import ModelResponsePartsManager
from app.ai.profiles.google import GoogleModelProfile
from app.ai.settings import ModelSettings
from app.ai.usage import RequestUsage

_COUNTED_ON_VERTEX = ("contents", "systemInstruction", "tools")


class _Count(ProviderAnswer):
    total_tokens: int = Field(alias="totalTokens")


class GoogleModel(HTTPModel):
    """A model behind the Gemini API, at Google or on Vertex AI."""

    default_provider = "google-gla"

    async def count_tokens(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> RequestUsage:
        check_allow_model_requests()
        settings, parameters = self._prepared(model_settings, model_request_parameters)
        body = await self._whole_body(messages, settings, parameters)
        counted: dict[str, Any] = {"generateContentRequest": {"model": f"models/{self._model_name}", **body}}
        if self._is_vertex:
            counted = {key: body[key] for key in _COUNTED_ON_VERTEX if key in body}
        text = await self._ask(Question(path=self._path("countTokens"), body=counted), settings)
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
        profile = GoogleModelProfile.from_profile(self.profile)
        body: dict[str, Any] = {
            "contents": await to_contents(messages, self.system, profile, links_files=self._is_vertex),
            **settings_body(settings, parameters, profile),
            **tools_body(settings, parameters, profile, tells_tools=not self._is_vertex),
        }
        if system := system_instruction(messages, self.get_instructions(messages, parameters)):
            body["systemInstruction"] = system
        return body

    def _question(
        self, body: dict[str, Any], settings: ModelSettings, parameters: ModelRequestParameters, *, stream: bool
    ) -> Question:
        path = f"{self._path('streamGenerateContent')}?alt=sse" if stream else self._path("generateContent")
        return Question(path=path, body=body)

    def _to_response(self, text: str) -> ModelResponse:
        parts = ModelResponsePartsManager()
        reader = AnswerReader(parts, self.system)
        for piece in read_pieces(Answer, text, self._model_name):
            reader.take(piece)
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

    def _streamed(self, answer: OpenAnswer, parameters: ModelRequestParameters) -> GoogleStreamedResponse:
        return GoogleStreamedResponse(parameters, answer)
