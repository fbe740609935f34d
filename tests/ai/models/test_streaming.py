"""Streams of every API: how fast they are read, and how long a silent one is waited for."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from app.ai.exceptions import ModelAPIError
from app.ai.messages import ModelRequest
from app.ai.models import Model, ModelRequestParameters
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.google import GoogleProvider
from app.ai.providers.openai import OpenAIProvider
from app.ai.settings import ModelSettings

MakeModel = Callable[[httpx.AsyncClient], Model]


def chat(client: httpx.AsyncClient) -> Model:
    return OpenAIChatModel("m", provider=OpenAIProvider(base_url="http://x", http_client=client))


def responses(client: httpx.AsyncClient) -> Model:
    return OpenAIResponsesModel("m", provider=OpenAIProvider(base_url="http://x", http_client=client))


def anthropic(client: httpx.AsyncClient) -> Model:
    return AnthropicModel("m", provider=AnthropicProvider(base_url="http://x", api_key="k", http_client=client))


def google(client: httpx.AsyncClient) -> Model:
    return GoogleModel("m", provider=GoogleProvider(base_url="http://x", api_key="k", http_client=client))


def chat_pieces(count: int) -> list[Any]:
    def piece(delta: Any, finish: str | None) -> Any:
        return {"id": "c", "created": 1, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    return [*[piece({"content": "word "}, None)] * count, piece({}, "stop")]


def responses_pieces(count: int) -> list[Any]:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "word "}
    return [*[delta] * count, {"type": "response.completed", "response": {"id": "r", "status": "completed"}}]


def anthropic_pieces(count: int) -> list[Any]:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
    return [*[delta] * count, end, {"type": "message_stop"}]


def google_pieces(count: int) -> list[Any]:
    piece = {"candidates": [{"content": {"parts": [{"text": "word "}]}}], "usageMetadata": {"promptTokenCount": 1}}
    return [*[piece] * count, {"candidates": [{"finishReason": "STOP"}]}]


def answering(body: AsyncIterator[bytes]) -> httpx.AsyncClient:
    headers = {"content-type": "text/event-stream"}
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, content=body))
    )


async def blocks(text: bytes, size: int = 4096) -> AsyncIterator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make_model", "pieces"),
    [(chat, chat_pieces), (responses, responses_pieces), (anthropic, anthropic_pieces), (google, google_pieces)],
)
async def test_a_very_long_answer_is_read_at_an_even_pace(make_model: MakeModel, pieces: Callable[[int], list[Any]]):
    count = 100_000
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces(count)).encode()
    async with answering(blocks(body)) as client:
        model = make_model(client)
        started = time.process_time()
        async with model.request_stream([ModelRequest.user_text_prompt("x")], None, ModelRequestParameters()) as stream:
            async for _ in stream:
                pass
        seconds = time.process_time() - started
    assert len(stream.get().parts) == 1
    assert stream.get().text == "word " * count
    # More than 50,000 a second on an ordinary machine; the bound leaves room for a slow one, not for copying.
    assert count / seconds > 15_000


@pytest.mark.parametrize(
    ("make_model", "sign"),
    [
        (chat, ": OPENROUTER PROCESSING\n\n"),
        (anthropic, 'event: ping\ndata: {"type": "ping"}\n\n'),
    ],
)
async def test_a_server_that_only_gives_signs_of_life_is_given_up(make_model: MakeModel, sign: str):
    async def signs() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield sign.encode()

    async with answering(signs()) as client:
        model, settings = make_model(client), ModelSettings(timeout=0.1)
        with pytest.raises(ModelAPIError, match=r"said nothing for 0\.1 s"):
            async with model.request_stream(
                [ModelRequest.user_text_prompt("x")], settings, ModelRequestParameters()
            ) as stream:
                async for _ in stream:
                    pass


async def test_a_reader_may_take_its_time():
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in chat_pieces(3)).encode()
    async with (
        answering(blocks(body, size=50)) as client,
        chat(client).request_stream(
            [ModelRequest.user_text_prompt("x")], ModelSettings(timeout=0.05), ModelRequestParameters()
        ) as stream,
    ):
        async for _ in stream:
            await asyncio.sleep(0.06)
    assert stream.get().text == "word word word "
