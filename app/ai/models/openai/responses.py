"""A model behind the Responses API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models.answers import read_answer
from app.ai.models.handles import current_handles
from app.ai.models.http import Question
from app.ai.models.http_stream import OpenAnswer
from app.ai.models.openai.background import PATH, BackgroundStreamedResponse, StoredAnswer, StoredResponse
from app.ai.models.openai.model import OpenAIHTTPModel
from app.ai.models.openai.responses_answers import Response, to_response
from app.ai.models.openai.responses_body import settings_body, tools_body
from app.ai.models.openai.responses_input import after_newest_response, to_input
from app.ai.models.openai.responses_streaming import OpenAIResponsesStreamedResponse
from app.ai.models.parameters import ModelRequestParameters
from app.ai.native_tools import (
    SUPPORTED_NATIVE_TOOLS,
    AbstractNativeTool,
    MemoryTool,
    WebFetchTool,
    XSearchTool,
)
from app.ai.settings import ModelSettings


class OpenAIResponsesModel(OpenAIHTTPModel):
    """A model behind the Responses API, of OpenAI or any server that speaks it."""

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return SUPPORTED_NATIVE_TOOLS - {MemoryTool, WebFetchTool, XSearchTool}

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
                system_role=self._openai_profile.openai_system_prompt_role or "system",
                stored=given.get("openai_store") is not False and given.get("openai_send_reasoning_ids") is not False,
            ),
            **settings_body(settings, parameters, self._openai_profile),
            **tools_body(settings, parameters, self._openai_profile),
        }
        if given.get("openai_background"):
            body |= {"background": True, "store": True}
        if instructions:
            body["instructions"] = instructions
        if previous:
            body["previous_response_id"] = previous
        return body

    def _question(
        self, body: dict[str, Any], settings: ModelSettings, parameters: ModelRequestParameters, *, stream: bool
    ) -> Question:
        return Question(path=PATH, body={**body, "stream": True} if stream else body)

    def _streams_anyway(self, body: Mapping[str, Any]) -> bool:
        return bool(body.get("background")) or super()._streams_anyway(body)

    @asynccontextmanager
    async def _sent(self, question: Question, settings: ModelSettings, stream: bool) -> AsyncGenerator[OpenAnswer]:
        if not question.body.get("background"):
            async with super()._sent(question, settings, stream) as answer:
                yield answer
            return
        opened = super()._sent
        stored = await StoredResponse.of(question, lambda asked: opened(asked, settings, True), current_handles())
        async with AsyncExitStack() as stack:
            stack.push_async_callback(stored.leave)
            answer = await stored.begin(stack, question)
            yield StoredAnswer(**vars(answer), stored=stored)

    def _to_response(self, text: str) -> ModelResponse:
        return to_response(
            read_answer(Response, text, self._model_name),
            model_name=self._model_name,
            provider_name=self.system,
            provider_url=self.base_url,
        )

    def _streamed(self, answer: OpenAnswer, parameters: ModelRequestParameters) -> OpenAIResponsesStreamedResponse:
        if isinstance(answer, StoredAnswer):
            return BackgroundStreamedResponse(parameters, answer, stored=answer.stored)
        return OpenAIResponsesStreamedResponse(parameters, answer)
