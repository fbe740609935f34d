"""What is the same whichever API a model is behind: choice of tools, things to come, errors, patience."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError
from app.ai.models import ModelRequestParameters
from app.ai.models.openai import OpenAIChatModel
from app.ai.providers.openai import OpenAIProvider
from app.ai.settings import ModelSettings, ToolOrOutput
from app.ai.stamps import now_utc
from app.ai.tools import ToolDefinition
from tests.ai.models.apis import ANTHROPIC, APIS, CHAT, GOOGLE, HELLO, NOTHING, RESPONSES, Api, streamed
from tests.ai.models.chat_server import Answer, as_json, serve

LOOK, TOUCH = ToolDefinition(name="look"), ToolDefinition(name="touch")
FINISH = ToolDefinition(name="finish", kind="output")

each_api = pytest.mark.parametrize("api", APIS.values(), ids=APIS)


def names_of(body: dict[str, Any]) -> list[str]:
    tools: list[dict[str, Any]] = body["tools"]
    declared = tools[0].get("functionDeclarations", tools)
    return [tool.get("function", tool)["name"] for tool in declared]


ALL = ["look", "touch", "finish"]
CHOICES: list[tuple[Any, bool, list[list[str]], list[Any]]] = [
    (None, True, [ALL] * 4, ["auto", "auto", {"type": "auto"}, None]),
    (None, False, [ALL] * 4, ["required", "required", {"type": "any"}, {"mode": "ANY"}]),
    ("required", True, [ALL] * 4, ["required", "required", {"type": "any"}, {"mode": "ANY"}]),
    (
        ["look"],
        True,
        [ALL] * 4,
        [
            {"type": "function", "function": {"name": "look"}},
            {"type": "function", "name": "look"},
            {"type": "tool", "name": "look"},
            {"mode": "ANY", "allowedFunctionNames": ["look"]},
        ],
    ),
    (
        ["look", "touch"],
        True,
        [["look", "touch"], ALL, ["look", "touch"], ALL],
        [
            "required",
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "look"}, {"type": "function", "name": "touch"}],
            },
            {"type": "any"},
            {"mode": "ANY", "allowedFunctionNames": ["look", "touch"]},
        ],
    ),
    (
        ToolOrOutput(["touch"]),
        True,
        [["touch", "finish"], ALL, ["touch", "finish"], ["touch", "finish"]],
        [
            "auto",
            {
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "touch"}, {"type": "function", "name": "finish"}],
            },
            {"type": "auto"},
            None,
        ],
    ),
]


@pytest.mark.parametrize(("choice", "allow_text", "names", "expected"), CHOICES)
@pytest.mark.parametrize("place", range(4), ids=list(APIS))
async def test_a_choice_of_tools_is_told_in_the_words_of_the_api(
    place: int, choice: Any, allow_text: bool, names: list[list[str]], expected: list[Any]
):
    parameters = ModelRequestParameters(
        function_tools=[LOOK, TOUCH], output_tools=[FINISH], output_mode="tool", allow_text_output=allow_text
    )
    api = list(APIS.values())[place]
    body = await api.sent(settings=ModelSettings(tool_choice=choice), parameters=parameters)
    assert names_of(body) == names[place]
    told = body.get("toolConfig", {}).get("functionCallingConfig") if api is GOOGLE else body["tool_choice"]
    assert told == expected[place]


@pytest.mark.parametrize(
    ("api", "expected"),
    [
        (CHAT, {"tool_choice": "none"}),
        (RESPONSES, {"tool_choice": "none"}),
        (ANTHROPIC, {"tool_choice": {"type": "none"}}),
        (GOOGLE, {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
    ],
    ids=APIS,
)
async def test_tools_that_must_not_be_called_stay_listed(api: Api[Any], expected: dict[str, Any]):
    body = await api.sent(
        settings=ModelSettings(tool_choice="none"), parameters=ModelRequestParameters(function_tools=[LOOK])
    )
    assert names_of(body) == ["look"]
    assert expected.items() <= body.items()


async def test_a_client_of_ones_own_keeps_its_timeouts():
    with serve([Answer(b"", hold=True)]) as server:
        async with httpx.AsyncClient(timeout=0.2) as client:
            model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=server.url, http_client=client))
            with pytest.raises(ModelAPIError, match="Timeout"):
                await model.request(HELLO, None, NOTHING)


async def test_a_whole_answer_may_take_longer_than_a_stream_may_be_silent():
    provider = OpenAIProvider(base_url="http://x", api_key="k")
    model = OpenAIChatModel("m", provider=provider)
    asked: list[dict[str, float]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.extensions["timeout"])
        return httpx.Response(200, json=CHAT.answer)

    async with model:
        provider.client._transport = httpx.MockTransport(answer)
        await model.request(HELLO, None, NOTHING)
        await streamed(model)
    assert [timeouts["read"] for timeouts in asked] == [600, 120]
    assert {(timeouts["connect"], timeouts["write"]) for timeouts in asked} == {(10, 30)}


NEW: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "chat": (
        {
            "new": {"field": 1},
            "service_tier": "default",
            "choices": [
                {
                    "message": {
                        "content": [{"type": "new"}, {"type": "text", "text": "Hi"}],
                        "tool_calls": [{"id": "n1", "type": "new", "new": {"name": "x"}}],
                        "new": 1,
                    },
                    "finish_reason": "stop",
                    "new": [],
                }
            ],
        },
        [
            {"object": "new.kind", "new": True},
            {"choices": [{"index": 0, "delta": {"new": "x", "tool_calls": [{"index": 0, "id": "n", "type": "new"}]}}]},
            {"choices": [{"index": 1, "delta": {"content": "another answer"}}]},
            {"choices": [{"index": 0, "delta": {"content": [{"type": "new"}, {"type": "text", "text": "Hi"}]}}]},
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
            {"choices": [], "usage": {"prompt_tokens": 1, "new_tokens": 2, "new_cost": 0.1}},
        ],
    ),
    "responses": (
        {
            "output": [
                {"type": "message", "content": [{"type": "new"}, {"type": "output_text", "text": "Hi"}]},
            ],
            "new": 1,
            "status": "completed",
        },
        [
            {"type": "response.created", "response": {"id": "r1", "new": 1}},
            {"type": "response.new.delta", "delta": {"x": 1}},
            {"type": "response.audio.delta", "delta": "AAAA"},
            {"type": "response.new.event"},
            {"new": "without a type"},
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 1, "delta": "Hi"},
            {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": {}},
            {"type": "response.completed", "response": {"id": "r1", "status": "completed", "output": []}},
        ],
    ),
    "anthropic": (
        {"content": [{"type": "new", "new": 1}, {"type": "text", "text": "Hi"}], "stop_reason": "new", "new": 1},
        [
            {"type": "message_start", "message": {"id": "m1", "new": 1, "usage": {"new": {"tokens": 1}}}},
            {"type": "new_event"},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "new"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": "{"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "new": 1}},
            {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "new_delta"}},
            {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hi"}},
            {"type": "message_delta", "delta": {"stop_reason": "new", "new": 1}, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ],
    ),
    "google": (
        {
            "candidates": [{"content": {"parts": [{"new": 1}, {"text": "Hi"}]}, "finishReason": "NEW", "new": 1}],
            "usageMetadata": {"newTokenCount": 3, "newDetails": [{}]},
        },
        [
            {"new": 1},
            {"candidates": [{"content": {"parts": [{"new": {}}, {"text": "Hi"}]}, "new": 1}]},
            {"candidates": [{"finishReason": "NEW"}]},
        ],
    ),
}


def event_stream(pieces: list[dict[str, Any]], **options: Any) -> Answer:
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces)
    return Answer(body.encode(), content_type="text/event-stream", **options)


@pytest.mark.parametrize("name", APIS)
async def test_fields_kinds_and_events_to_come_do_no_harm(name: str):
    whole, pieces = NEW[name]
    async with APIS[name].model_with(as_json(whole), event_stream(pieces)) as (model, _):
        assert (await model.request(HELLO, None, NOTHING)).text == "Hi"
        assert (await streamed(model)).text == "Hi"


@each_api
async def test_a_server_that_does_not_stream_is_understood(api: Api[Any]):
    async with api.model_with(as_json(api.answer)) as (model, _), model.request_stream(HELLO, None, NOTHING) as stream:
        events = [event async for event in stream]
        assert stream.get().text == "Hi"
        assert events


@each_api
async def test_a_status_of_success_with_an_error_in_it_is_an_error(api: Api[Any]):
    error = as_json({"error": {"code": 429, "message": "slow down", "type": "rate_limit_error"}})
    async with api.model_with(error) as (model, _):
        with pytest.raises(ModelHTTPError, match="slow down"):
            await model.request(HELLO, None, NOTHING)
        with pytest.raises(ModelHTTPError, match="slow down"):
            await streamed(model)


@each_api
@pytest.mark.parametrize("answer", [[], {"candidates": 1, "choices": "x", "output": 5, "content": "y"}, "text", 7])
async def test_json_of_a_wrong_shape_is_no_crash(api: Api[Any], answer: Any):
    async with api.model_with(as_json(answer)) as (model, _):
        with pytest.raises(Exception, match=r"wrong shape|without|no object") as caught:
            await model.request(HELLO, None, NOTHING)
        assert type(caught.value).__name__ == "UnexpectedModelBehavior"


@each_api
async def test_an_error_tells_when_to_ask_again_and_what_the_provider_calls_it(api: Api[Any]):
    error = {"error": {"type": "rate_limit_error", "message": "later"}, "request_id": "req_1"}
    refusal = as_json(error, status=429, headers={"retry-after": "3600"})
    async with api.model_with(refusal) as (model, server):
        with pytest.raises(ModelHTTPError) as caught:
            await model.request(HELLO, None, NOTHING)
        assert len(server.requests) == 1
    found = caught.value
    assert (found.status_code, found.code, found.request_id) == (429, "rate_limit_error", "req_1")
    assert found.retry_at
    assert abs(found.retry_at - now_utc() - timedelta(hours=1)) < timedelta(minutes=1)
    copied = pickle.loads(pickle.dumps(found))
    assert (copied.retry_at, copied.body) == (found.retry_at, found.body)


@each_api
async def test_an_error_that_no_wait_mends_has_no_time_to_ask_again(api: Api[Any]):
    refusal = as_json({"error": {"message": "no"}}, status=400, headers={"retry-after": "3600"})
    async with api.model_with(refusal) as (model, _):
        with pytest.raises(ModelHTTPError) as caught:
            await streamed(model)
    assert caught.value.retry_at is None


@each_api
async def test_an_answer_has_a_deadline(api: Api[Any]):
    silent = Answer(b"", content_type="text/event-stream", hold=True)
    async with api.model_with(silent) as (model, server):
        for settings in (ModelSettings(deadline=0.2), ModelSettings(deadline=0.2, timeout=60)):
            with pytest.raises(ModelAPIError, match=r"in time|within"):
                async with model.request_stream(HELLO, settings, NOTHING) as stream:
                    async for _ in stream:
                        pass
        assert await asyncio.to_thread(server.hung_up.wait, 5)


@each_api
async def test_a_whole_answer_has_a_deadline(api: Api[Any]):
    async with api.model_with(Answer(b"{", hold=True)) as (model, _):
        with pytest.raises(ModelAPIError, match=r"took too long|gave no answer"):
            await model.request(HELLO, ModelSettings(deadline=0.2), NOTHING)


ODD: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "chat": (
        {"usage": [1], "system_fingerprint": 5, "service_tier": {}, "id": 7, "x_groq": "y"},
        [{"choices": [{"index": None, "delta": {"content": "Hi"}}], "id": 7, "usage": "x"}, *NEW["chat"][1][4:]],
    ),
    "responses": (
        {"usage": "many", "service_tier": 5, "id": 7},
        [
            {"type": "response.output_text.delta", "output_index": 0, "delta": ["odd"]},
            {"type": "response.completed", "response": {**RESPONSES.answer, "usage": 5, "incomplete_details": "x"}},
        ],
    ),
    "anthropic": (
        {"usage": 5, "stop_details": "x", "container": [], "id": 7},
        [{"type": "message_start", "message": {"id": 7, "usage": []}}, *NEW["anthropic"][1][5:]],
    ),
    "google": (
        {"usageMetadata": 5, "responseId": 7, "modelVersion": {}},
        [{**NEW["google"][1][1], "usageMetadata": "x"}, NEW["google"][1][2]],
    ),
}


@pytest.mark.parametrize("name", APIS)
async def test_what_is_odd_beside_an_answer_does_not_void_it(name: str):
    api, (beside, pieces) = APIS[name], ODD[name]
    async with api.model_with(as_json({**api.answer, **beside}), event_stream(pieces)) as (model, _):
        assert (await model.request(HELLO, None, NOTHING)).text == "Hi"
        assert (await streamed(model)).text == "Hi"
