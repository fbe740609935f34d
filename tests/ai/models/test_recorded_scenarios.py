"""Every recorded scenario through our client: the answer read rightly, and our request as the provider accepted it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError
from app.ai.messages import ModelResponse, NativeToolCallPart, ToolCallPart
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.http import HTTPModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.azure import AzureProvider
from app.ai.providers.compatible import SERVICES, CompatibleProvider
from app.ai.providers.google import GoogleProvider, GoogleVertexProvider
from app.ai.providers.http import HTTPProvider
from app.ai.providers.openai import OpenAIProvider
from tests.ai.models.chat_server import Answer, serve
from tests.ai.models.recorded import anthropic, chat, google, responses, traffic
from tests.ai.models.recorded.traffic import Asked, as_answered
from tests.ai.models.recorded.whole import whole_answer

pytestmark = pytest.mark.skipif(not traffic.AVAILABLE, reason=traffic.UNAVAILABLE)

APIS: dict[str, Any] = {
    "anthropic-messages": anthropic,
    "google-generate": google,
    "openai-chat": chat,
    "openai-responses": responses,
}

# Whole answers are not cut into pieces, so one size is enough for them.
CASES = [
    pytest.param(scenario["name"], chunk, id=f"{scenario['name']}-{chunk}")
    for scenario in traffic.index()
    for chunk in ((1, 7, 4096) if scenario["stream"] else (4096,))
    if scenario["api"] in APIS
]


@pytest.mark.parametrize(("name", "chunk"), CASES)
async def test_a_recorded_scenario_goes_through_our_client(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.ai.retries.MAX_TRIES", 1)
    scenario = traffic.load(name)
    api = APIS[scenario["api"]]
    answers: list[ModelResponse] = []
    with traffic.replay_server().ReplayServer(scenario, chunk=chunk) as server:
        for exchange in scenario["exchanges"]:
            body = exchange["request"]["json"] or api.HELLO
            async with make_model(scenario, server, body) as model:
                await check_exchange(api, model, exchange, body, answers)
        for entry, exchange in zip(server.journal(), scenario["exchanges"], strict=True):
            if recorded := exchange["request"]["json"]:
                differences = traffic.differences(api.comparable(recorded), api.comparable(entry["json"]))
                assert {normalised(path) for path in differences} <= api.EXPLAINED.keys(), differences


STREAMED = [
    scenario["name"]
    for scenario in traffic.index()
    if scenario["stream"] and scenario["api"] in APIS and set(scenario["statuses"]) == {200}
]


@pytest.mark.parametrize("name", STREAMED)
async def test_a_recorded_stream_becomes_the_same_response_as_the_whole_answer(name: str):
    scenario = traffic.load(name)
    api = APIS[scenario["api"]]
    for exchange in scenario["exchanges"]:
        response = exchange["response"]
        if "body_text" not in response or error_in(response):
            continue
        body = exchange["request"]["json"] or api.HELLO
        asked: Asked = api.understood(body, [])
        whole = json.dumps(whole_answer(scenario["api"], response["body_text"]))
        pairs: list[tuple[str, str]] = [(response["body_text"], "text/event-stream"), (whole, "application/json")]
        streamed, at_once = [
            await ask_prepared(scenario, body, asked, text, content_type) for text, content_type in pairs
        ]
        assert without_form(streamed) == without_form(at_once)


async def ask_prepared(
    scenario: dict[str, Any], body: dict[str, Any], asked: Asked, text: str, content_type: str
) -> ModelResponse:
    answer = Answer(text.encode(), content_type=content_type)
    settings: Any = asked.settings
    with serve([answer]) as server:
        async with make_model(scenario, SimpleNamespace(base_url=lambda: server.url), body) as model:
            if content_type == "application/json":
                return await model.request(asked.messages, settings, asked.parameters)
            return await ask(model, asked, {})


def without_form(response: ModelResponse) -> dict[str, Any]:
    """A response without what a stream cannot have or has in another form: our times and ids, arguments as text."""
    shown = asdict(response)
    for part, told in zip(response.parts, shown["parts"], strict=True):
        told.pop("timestamp", None)
        if isinstance(part, ToolCallPart | NativeToolCallPart):
            told["args"] = part.args_as_dict()
        if str(told.get("tool_call_id", "")).startswith("pyd_ai_"):
            told["tool_call_id"] = "ours"
    del shown["timestamp"], shown["provider_url"]
    return shown


def make_model(scenario: dict[str, Any], server: Any, body: dict[str, Any]) -> HTTPModel:
    api, url, base = scenario["api"], scenario["exchanges"][0]["request"]["url"], server.base_url()
    if api == "anthropic-messages":
        return AnthropicModel(body["model"], provider=AnthropicProvider(base_url=base, api_key="k"))
    if api == "google-generate":
        name = url.partition("/models/")[2].partition(":")[0]
        if "aiplatform" in url:
            return GoogleModel(name, provider=GoogleVertexProvider(base_url=base, access_token="k"))
        return GoogleModel(name, provider=GoogleProvider(base_url=base, api_key="k"))
    provider = compatible_provider(scenario["provider"], url, base)
    return (OpenAIChatModel if api == "openai-chat" else OpenAIResponsesModel)(body["model"], provider=provider)


def compatible_provider(name: str, url: str, base: str) -> HTTPProvider:
    name = {"ollama-cloud": "ollama"}.get(name, name)
    if name == "azure":
        _, separator, query = url.partition("?")
        return AzureProvider(base_url=f"{base}{separator}{query}", api_key="k")
    if name in SERVICES:
        return CompatibleProvider(name, base_url=base, api_key="k")
    return OpenAIProvider(base_url=base, api_key="k")


async def check_exchange(
    api: Any, model: HTTPModel, exchange: dict[str, Any], body: dict[str, Any], answers: list[ModelResponse]
) -> None:
    asked: Asked = api.understood(body, [*answers])
    response = exchange["response"]
    if response["status"] >= 400:
        with pytest.raises(ModelHTTPError) as caught:
            await ask(model, asked, response)
        assert caught.value.status_code == response["status"]
        assert caught.value.body
    elif error := error_in(response):
        with pytest.raises(ModelAPIError) as failed:
            await ask(model, asked, response)
        assert error in str(failed.value)
    else:
        answer = await ask(model, asked, response)
        assert as_answered(answer) == api.answered(response)
        answers.append(answer)


async def ask(model: HTTPModel, asked: Asked, response: dict[str, Any]) -> ModelResponse:
    settings: Any = asked.settings
    if "body_json" in response:
        return await model.request(asked.messages, settings, asked.parameters)
    async with model.request_stream(asked.messages, settings, asked.parameters) as stream:
        async for _ in stream:
            pass
        return stream.get()


def error_in(response: dict[str, Any]) -> str | None:
    """The message of an error that a recorded answer carries in spite of its status."""
    for event in traffic.events(response.get("body_text", "")):
        error = event.get("error") or (event.get("response") or {}).get("error")
        if error:
            return error["message"]
    return None


def normalised(path: str) -> str:
    """A path of a difference without its counts."""
    path = re.sub(r"\[\d+\]", "[]", path)
    return re.sub(r"\(length \d+ recorded, \d+ sent\)", "(length N recorded, N sent)", path)


def test_the_table_of_differences_is_explained():
    assert all(reason for api in APIS.values() for reason in api.EXPLAINED.values())
    assert json.dumps([api.EXPLAINED for api in APIS.values()])


STREAMS = [
    "anthropic/anthropic_mcp_servers_stream",
    "azure/chat_responses_protocol_dialects_with_azure_gpt-5-nano_streams_responses",
    "google/google_stream_usage_is_live_mid_stream",
    "openai/run_stream_sync_streams_real_model",
]


@pytest.mark.parametrize("fault", ["status=503,retry_after=0.01", "status=429,retry_after=0.01", "latency=0.2"])
@pytest.mark.parametrize("name", STREAMS)
async def test_a_fault_before_the_answer_is_tried_again(name: str, fault: str):
    scenario = traffic.load(name)
    api, exchange = APIS[scenario["api"]], scenario["exchanges"][0]
    with traffic.replay_server().ReplayServer(scenario, faults=[f"0:{fault}"]) as server:
        async with make_model(scenario, server, exchange["request"]["json"]) as model:
            await check_exchange(api, model, exchange, exchange["request"]["json"], [])
        assert len(server.journal()) == (1 if "latency" in fault else 2)


@pytest.mark.parametrize("fault", ["cut=20", "cut=400", "cut=400,reset=1", "stall=400,seconds=2"])
@pytest.mark.parametrize("name", STREAMS)
async def test_a_fault_inside_the_answer_is_a_failure_and_never_a_short_answer(name: str, fault: str):
    scenario = traffic.load(name)
    api, exchange = APIS[scenario["api"]], scenario["exchanges"][0]
    with traffic.replay_server().ReplayServer(scenario, faults=[f"0:{fault}"]) as server:
        async with make_model(scenario, server, exchange["request"]["json"]) as model:
            asked: Asked = api.understood(exchange["request"]["json"], [])
            asked.settings["timeout"] = 0.2
            with pytest.raises(ModelAPIError):
                await ask(model, asked, exchange["response"])
        assert len(server.journal()) == 1
