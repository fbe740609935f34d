"""Services that speak OpenAI's API, and what their servers do in their own way."""

from __future__ import annotations

from typing import Any

import pytest

from app.ai.exceptions import UserError
from app.ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    ThinkingPart,
)
from app.ai.models import ModelRequestParameters, infer_model
from app.ai.models.http import HTTPModel
from app.ai.models.openai import OpenAIChatModel
from app.ai.native_tools import CodeExecutionTool, WebSearchTool
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.providers.azure import AzureProvider
from app.ai.providers.compatible import SERVICES, CompatibleProvider
from app.ai.providers.openai import OpenAIProvider
from app.ai.settings import ModelSettings
from tests.ai.models.chat_server import Answer, completion, delta, serve, stream

NOTHING = ModelRequestParameters()
HELLO: list[ModelMessage] = [ModelRequest.user_text_prompt("Hello")]


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_found_by_name_with_the_key_of_its_own_variable(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(SERVICES[name].key, "the-key")
    model = infer_model(f"{name}:some-model")
    assert isinstance(model, HTTPModel)
    assert model.model_id == f"{name}:some-model"
    assert model.base_url == SERVICES[name].base_url


def test_a_service_without_its_key_is_refused_by_the_variables_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(UserError, match="GROQ_API_KEY"):
        infer_model("groq:llama")
    monkeypatch.delenv("OLLAMA_API_KEY", raising=False)
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://elsewhere/v1")
    assert infer_model("ollama:qwen3").base_url == "http://elsewhere/v1"


def test_an_unknown_service_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"nowhere.*openrouter"):
        infer_model("nowhere:model")
    with pytest.raises(UserError, match="nowhere"):
        CompatibleProvider("nowhere")


async def test_azure_is_asked_with_its_own_header_and_version(monkeypatch: pytest.MonkeyPatch):
    with serve([completion()]) as server:
        provider = AzureProvider(base_url=f"{server.url}?api-version=2024-05-01-preview", api_key="the-key")
        async with OpenAIChatModel("m", provider=provider) as model:
            await model.request(HELLO, None, NOTHING)
    assert server.headers[0]["api-key"] == "the-key"
    assert server.targets == ["/v1/chat/completions?api-version=2024-05-01-preview"]
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "k")
    assert infer_model("azure:gpt-5").base_url == "https://mine.openai.azure.com/openai/v1"


async def sent(service: str, name: str, settings: ModelSettings, *, streamed: bool = False) -> dict[str, Any]:
    with serve([stream(delta("stop", content="Hi")) if streamed else completion()]) as server:
        provider = CompatibleProvider(service, base_url=server.url, api_key="k")
        async with OpenAIChatModel(name, provider=provider) as model:
            if not streamed:
                await model.request(HELLO, settings, NOTHING)
            else:
                async with model.request_stream(HELLO, settings, NOTHING) as answer:
                    async for _ in answer:
                        pass
    return server.requests[0]


@pytest.mark.parametrize(
    ("service", "name", "expected"),
    [
        ("groq", "openai/gpt-oss-120b", {"reasoning_effort": "low"}),
        ("openrouter", "anthropic/claude-sonnet-4.5", {"reasoning": {"effort": "low"}}),
        ("zai", "glm-4.7", {"thinking": {"type": "enabled"}}),
        ("together", "llama-3", {}),
    ],
)
async def test_thinking_is_asked_for_in_the_way_of_the_service(service: str, name: str, expected: dict[str, Any]):
    body = await sent(service, name, ModelSettings(thinking="low", max_tokens=5))
    assert {key: body[key] for key in body if key in ("reasoning_effort", "reasoning", "thinking")} == expected
    assert body["max_tokens"] == 5


async def test_a_service_that_gives_the_usage_unasked_is_not_asked_for_it():
    assert "stream_options" not in await sent("mistral", "mistral-small", ModelSettings(), streamed=True)
    assert "stream_options" in await sent("groq", "llama", ModelSettings(), streamed=True)


async def both(whole: Answer, pieces: Answer) -> tuple[ModelResponse, ModelResponse, list[dict[str, Any]]]:
    """The same answer whole and streamed, and the bodies sent, the last of which takes the first answer back."""
    with serve([whole, pieces, completion()]) as server:
        provider = CompatibleProvider("openrouter", base_url=server.url, api_key="k")
        async with OpenAIChatModel("m", provider=provider) as model:
            first = await model.request(HELLO, None, NOTHING)
            async with model.request_stream(HELLO, None, NOTHING) as answer:
                async for _ in answer:
                    pass
            history = ModelMessagesTypeAdapter.dump_json([*HELLO, answer.get(), *HELLO])
            await model.request(ModelMessagesTypeAdapter.validate_json(history), None, NOTHING)
    return first, answer.get(), server.requests


async def test_reasoning_details_are_gathered_and_go_back():
    def detail(text: str | None, **more: Any) -> dict[str, Any]:
        return {"type": "reasoning.text", "index": 0, **({"text": text} if text else {}), **more}

    gathered = [detail("I see.", signature="sig", format="f")]
    message = {"content": "Hi", "reasoning": "I see.", "reasoning_details": gathered}
    pieces = stream(
        delta(reasoning="I ", reasoning_details=[detail("I ", format="f")]),
        delta(reasoning="see.", reasoning_details=[detail("see.")]),
        delta(reasoning_details=[detail(None, signature="sig")]),
        delta("stop", content="Hi"),
    )
    whole, streamed, bodies = await both(completion(message), pieces)
    assert whole.parts[0] == ThinkingPart(
        "I see.", id="reasoning", provider_name="openrouter", provider_details={"reasoning_details": gathered}
    )
    assert streamed.parts == whole.parts
    assert bodies[2]["messages"][1] == {"role": "assistant", "content": "Hi", "reasoning_details": gathered}


async def test_citations_costs_and_the_usage_in_odd_places_are_kept():
    citation = {"type": "url_citation", "url_citation": {"url": "u"}}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "cost": 0.25, "prompt_cache_hit_tokens": 4}
    whole, streamed, _ = await both(
        completion({"content": "Hi", "annotations": [citation]}, usage=usage, citations=["u"]),
        stream(
            delta(content="Hi", annotations=[citation]),
            {**delta("stop"), "x_groq": {"usage": usage}, "citations": ["u"]},
        ),
    )
    assert whole.usage.cache_read_tokens == 4
    assert whole.provider_details
    assert whole.provider_details["annotations"] == [citation]
    assert (whole.provider_details["citations"], whole.provider_details["cost"]) == (["u"], 0.25)
    assert (streamed.provider_details, streamed.usage) == (whole.provider_details, whole.usage)


async def test_tools_that_the_server_ran_are_told_but_not_told_back():
    ran = {"index": 0, "type": "search", "arguments": '{"query": "x"}', "output": "found"}
    begun = {key: ran[key] for key in ("index", "type", "arguments")}
    whole, streamed, bodies = await both(
        completion({"content": "Hi", "executed_tools": [ran]}),
        stream(delta(executed_tools=[begun]), delta(executed_tools=[ran]), delta("stop", content="Hi")),
    )
    for response in (whole, streamed):
        _, call, result = response.parts
        assert isinstance(call, NativeToolCallPart)
        assert isinstance(result, NativeToolReturnPart)
        assert (call.tool_name, call.args, result.content) == ("web_search", ran["arguments"], {"output": "found"})
        assert result.tool_call_id == call.tool_call_id
    assert bodies[2]["messages"][1] == {"role": "assistant", "content": "Hi"}


async def test_models_that_search_the_web_are_told_how_and_others_refuse():
    parameters = ModelRequestParameters(native_tools=[WebSearchTool(search_context_size="low")])
    with serve([completion()]) as server:
        provider = OpenAIProvider(base_url=server.url, api_key="k")
        searching = OpenAIModelProfile(openai_chat_supports_web_search=True)
        await OpenAIChatModel("m", provider=provider, profile=searching).request(HELLO, None, parameters)
        assert server.requests[0]["web_search_options"] == {"search_context_size": "low"}
        for tools in (parameters, ModelRequestParameters(native_tools=[CodeExecutionTool()])):
            with pytest.raises(UserError, match="no native tool"):
                await OpenAIChatModel("m", provider=provider).request(HELLO, None, tools)
        await provider.client.aclose()
