"""A model of each API in front of a server on loopback that gives prepared answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.ai.messages import ModelMessage, ModelRequest, ModelResponse
from app.ai.models import ModelRequestParameters
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.http import HTTPModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.google import GoogleProvider
from app.ai.providers.openai import OpenAIProvider
from app.ai.settings import ModelSettings
from tests.ai.models.chat_server import Answer, ChatServer, as_json, serve

NOTHING = ModelRequestParameters()
HELLO: list[ModelMessage] = [ModelRequest.user_text_prompt("Hello")]
KEY = "sk-a-very-secret-key"

ModelT = TypeVar("ModelT", bound=HTTPModel)


@dataclass(frozen=True)
class Api(Generic[ModelT]):
    """How a model of an API is made, and the shortest whole answer that it can get."""

    make: Callable[[str, str], ModelT]
    """From the model's name and the server's address."""
    name: str
    answer: dict[str, Any]

    @asynccontextmanager
    async def model_with(self, *answers: Answer, name: str | None = None) -> AsyncIterator[tuple[ModelT, ChatServer]]:
        """A model whose server gives these answers one after another."""
        with serve(answers or [as_json(self.answer)]) as server:
            async with self.make(name or self.name, server.url) as model:
                yield model, server

    async def sent(
        self,
        messages: list[ModelMessage] = HELLO,
        settings: ModelSettings | None = None,
        parameters: ModelRequestParameters = NOTHING,
        name: str | None = None,
    ) -> dict[str, Any]:
        """The body of a request."""
        async with self.model_with(name=name) as (model, server):
            await model.request(messages, settings, parameters)
            return server.requests[0]


async def streamed(model: HTTPModel, messages: list[ModelMessage] = HELLO) -> ModelResponse:
    """The response to a request whose answer is streamed."""
    async with model.request_stream(messages, None, NOTHING) as stream:
        async for _ in stream:
            pass
        return stream.get()


CHAT = Api(
    lambda name, url: OpenAIChatModel(name, provider=OpenAIProvider(base_url=url, api_key=KEY)),
    "m",
    {"id": "c1", "model": "m-1", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]},
)
RESPONSES = Api(
    lambda name, url: OpenAIResponsesModel(name, provider=OpenAIProvider(base_url=url, api_key=KEY)),
    "gpt-5.2",
    {"id": "r1", "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}]},
)
ANTHROPIC = Api(
    lambda name, url: AnthropicModel(name, provider=AnthropicProvider(base_url=url, api_key=KEY)),
    "claude-sonnet-4-5",
    {"id": "m1", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"},
)
GOOGLE = Api(
    lambda name, url: GoogleModel(name, provider=GoogleProvider(base_url=url, api_key=KEY)),
    "gemini-3-flash",
    {"responseId": "g1", "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]},
)
APIS: dict[str, Api[Any]] = {"chat": CHAT, "responses": RESPONSES, "anthropic": ANTHROPIC, "google": GOOGLE}
