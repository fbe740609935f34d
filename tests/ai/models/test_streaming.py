"""Streams of every API: how fast they are read, and how long a silent one is waited for."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from app.ai.exceptions import ModelAPIError
from app.ai.messages import ModelRequest, ToolCallPart
from app.ai.models import Model, ModelRequestParameters
from app.ai.settings import ModelSettings
from benchmarks.streaming import APIS, answering, anthropic, blocks, chat, chat_pieces, read

MakeModel = Callable[[httpx.AsyncClient], Model]


@pytest.mark.slow
@pytest.mark.parametrize("call", [False, True], ids=["text", "arguments"])
@pytest.mark.parametrize("api", APIS)
async def test_a_very_long_answer_is_read_at_an_even_pace(api: str, call: bool):
    count = 100_000
    response, seconds, _ = await read(api, APIS[api][1](count, call=call))
    [part] = response.parts
    said = part.args_as_dict()["a"] if isinstance(part, ToolCallPart) else response.text
    assert said == "word " * count
    # More than 50,000 a second on an ordinary machine; the bound leaves room for a slow one, not for copying.
    assert count / seconds > 15_000


@pytest.mark.parametrize("call", [False, True], ids=["text", "arguments"])
@pytest.mark.parametrize("api", APIS)
async def test_the_memory_of_an_answer_grows_with_its_text_and_not_with_its_pieces(api: str, call: bool):
    count = 5_000
    pieces = APIS[api][1](count, call=call)
    await read(api, pieces)  # what is made once
    tracemalloc.start()
    _, _, most = await read(api, pieces)
    tracemalloc.stop()
    # A piece that was kept as an object of its own would be 60 bytes.
    assert most < 150_000 + 12 * 5 * count


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
