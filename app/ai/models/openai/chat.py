"""A model behind the Chat Completions API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models.answers import read_answer
from app.ai.models.http import Question
from app.ai.models.http_stream import OpenAnswer
from app.ai.models.openai.answers import Completion, to_response
from app.ai.models.openai.body import (
    OpenAIChatModelSettings,
    native_tools_body,
    output_body,
    settings_body,
    tools_body,
)
from app.ai.models.openai.messages import to_chat_messages
from app.ai.models.openai.model import OpenAIHTTPModel
from app.ai.models.openai.streaming import OpenAIStreamedResponse
from app.ai.models.parameters import ModelRequestParameters
from app.ai.native_tools import AbstractNativeTool, WebSearchTool
from app.ai.settings import ModelSettings

__all__ = "OpenAIChatModel", "OpenAIChatModelSettings"


class OpenAIChatModel(OpenAIHTTPModel):
    """A model behind the Chat Completions API, of OpenAI or any server that speaks it."""

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset({WebSearchTool} if self._openai_profile.openai_chat_supports_web_search else ())

    vendor_settings: ClassVar[Mapping[str, str]] = {}
    """Settings that only this vendor knows, with the fields of the request that they become."""

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        chat = await to_chat_messages(
            messages,
            instructions=self.get_instructions(messages, parameters),
            provider_name=self.system,
            profile=self._openai_profile,
        )
        return {
            "model": self._model_name,
            "messages": chat,
            **self._native_tools_body(parameters),
            **tools_body(settings, parameters, self._openai_profile),
            **output_body(parameters, self._openai_profile),
            **settings_body(settings, parameters.thinking, self._openai_profile),
            **{name: settings[key] for key, name in self.vendor_settings.items() if settings.get(key) is not None},
        }

    def _native_tools_body(self, parameters: ModelRequestParameters) -> dict[str, Any]:
        return native_tools_body(parameters, self._openai_profile)

    def _question(
        self, body: dict[str, Any], settings: ModelSettings, parameters: ModelRequestParameters, *, stream: bool
    ) -> Question:
        if stream:
            body = {**body, "stream": True}
            if self._openai_profile.openai_supports_stream_options:
                continuous = {"continuous_usage_stats": True} if settings.get("openai_continuous_usage_stats") else {}
                body["stream_options"] = {"include_usage": True, **continuous}
        return Question(path="/chat/completions", body=body)

    def _to_response(self, text: str) -> ModelResponse:
        return to_response(
            read_answer(Completion, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
            profile=self._openai_profile,
        )

    def _streamed(self, answer: OpenAnswer, parameters: ModelRequestParameters) -> OpenAIStreamedResponse:
        return OpenAIStreamedResponse(parameters, answer, profile=self._openai_profile)
