"""Recorded answers, cut off or damaged anywhere: an error or the whole, never less and never a crash."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from app.ai.exceptions import AgentRunError, ModelAPIError
from app.ai.messages import ModelResponse, TextPart, ThinkingPart, ToolCallPart
from benchmarks.streaming import APIS
from tests.ai.models.apis import HELLO, NOTHING, streamed
from tests.ai.models.recorded import traffic

pytestmark = pytest.mark.skipif(not traffic.AVAILABLE, reason=traffic.UNAVAILABLE)

NAMES = {
    "openai-chat": "chat",
    "openai-responses": "responses",
    "anthropic-messages": "anthropic",
    "google-generate": "google",
}


def answers(*, stream: bool) -> list[tuple[str, Any]]:
    """The API and the body of every recorded answer."""
    field = "body_text" if stream else "body_json"
    return [
        (NAMES[scenario["api"]], exchange["response"][field])
        for scenario in traffic.index()
        if scenario["api"] in NAMES
        for exchange in traffic.load(scenario["name"])["exchanges"]
        if exchange["response"]["status"] == 200 and field in exchange["response"]
    ]


async def read(api: str, body: bytes, *, stream: bool, breaks: bool = False) -> ModelResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield body
        if breaks:
            raise httpx.ReadError("reset")

    headers = {"content-type": "text/event-stream" if stream else "application/json"}
    answer = httpx.Response(200, headers=headers, content=pieces())
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer)) as client:
        model: Any = APIS[api][0](client)
        return await streamed(model) if stream else await model.request(HELLO, None, NOTHING)


def said(response: ModelResponse) -> list[Any]:
    """What is in the parts, without the ids that we make up."""
    return [
        part.content
        if isinstance(part, TextPart | ThinkingPart)
        else (part.tool_name, part.args_as_dict())
        if isinstance(part, ToolCallPart)
        else part.part_kind
        for part in response.parts
    ]


@pytest.mark.parametrize("breaks", [False, True], ids=["closed", "reset"])
async def test_a_stream_that_is_cut_anywhere_is_an_error_or_whole(breaks: bool):
    chance = random.Random(1)
    errors = 0
    for api, text in answers(stream=True):
        body = text.encode()
        try:
            whole = await read(api, body, stream=True)
        except ModelAPIError:
            continue  # it was recorded as an error
        for cut in (*chance.choices(range(1, len(body)), k=4), len(body) - 3):
            try:
                response = await read(api, body[:cut], stream=True, breaks=breaks)
            except ModelAPIError as error:
                assert error.retry_at
                errors += 1
            else:
                assert said(response) == said(whole)
    assert errors > 100


def spots(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a JSON value, as its container and its key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from spots(item)


def damaged(value: Any, chance: random.Random) -> Any:
    value = copy.deepcopy(value)
    container, key = chance.choice(list(spots(value)))
    container[key] = chance.choice([None, "odd", "", 7, [], {}, [{"type": "odd"}]])
    return value


@pytest.mark.parametrize("seed", range(4))
async def test_an_answer_that_is_damaged_anywhere_is_no_crash(seed: int):
    chance = random.Random(seed)
    for api, body in chance.choices(answers(stream=False), k=100):
        await survive(api, json.dumps(damaged(body, chance)), stream=False)
    for api, text in chance.choices([each for each in answers(stream=True) if len(each[1]) < 60_000], k=60):
        lines = text.splitlines()
        events = [at for at, line in enumerate(lines) if line.startswith("data: {")]
        at = chance.choice(events)
        lines[at] = f"data: {json.dumps(damaged(json.loads(lines[at][6:]), chance))}"
        await survive(api, "\n".join([*lines, "", ""]), stream=True)


async def survive(api: str, body: str, *, stream: bool) -> None:
    try:
        await read(api, body.encode(), stream=stream)
    except AgentRunError as error:
        assert str(error)
