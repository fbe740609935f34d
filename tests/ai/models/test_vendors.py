"""Vendors under their published names: where each is asked, and the settings that only it knows."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from app.ai.exceptions import ModelHTTPError, UserError
from app.ai.messages import (
    CachePoint,
    DocumentUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    UserPromptPart,
    VideoUrl,
)
from app.ai.models import ModelRequestParameters, infer_model
from app.ai.models.groq import GroqModel, GroqModelSettings
from app.ai.models.http import HTTPModel
from app.ai.models.openrouter import OpenRouterModel, OpenRouterModelSettings
from app.ai.models.xai import XaiModel, XaiModelSettings
from app.ai.native_tools import WebSearchTool, XSearchTool
from app.ai.providers import Provider, infer_provider_class
from app.ai.providers.azure import AzureProvider
from app.ai.providers.compatible import SERVICES
from app.ai.providers.google import GoogleProvider
from app.ai.providers.huggingface import HuggingFaceProvider
from app.ai.providers.litellm import LiteLLMProvider
from app.ai.providers.openrouter import OpenRouterProvider
from tests.ai.models.apis import HELLO, NOTHING, RESPONSES, streamed
from tests.ai.models.chat_server import as_json, completion, serve, stream

MODELS = {
    "anthropic": "AnthropicModel",
    "azure": "OpenAIChatModel",
    "cerebras": "CerebrasModel",
    "cohere": "CohereModel",
    "deepseek": "OpenAIChatModel",
    "google-gla": "GoogleModel",
    "groq": "GroqModel",
    "huggingface": "HuggingFaceModel",
    "mistral": "MistralModel",
    "ollama": "OllamaModel",
    "openai": "OpenAIChatModel",
    "openai-responses": "OpenAIResponsesModel",
    "openrouter": "OpenRouterModel",
    "xai": "XaiModel",
    "zai": "ZaiModel",
}


@pytest.mark.parametrize(("provider", "name"), MODELS.items())
def test_a_name_finds_the_vendors_own_model(provider: str, name: str):
    def factory(_: str) -> Provider[Any]:
        return LiteLLMProvider(api_base="http://x", api_key="k")

    model = infer_model(f"{provider}:m", factory)
    assert type(model).__name__ == name
    assert isinstance(model, HTTPModel)


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_a_class_in_a_module_of_its_name(service: str):
    found = infer_provider_class(service)
    module = importlib.import_module(f"app.ai.providers.{service}")
    assert getattr(module, found.__name__) is found
    assert found.__name__.lower() == f"{service}provider"


def test_bedrock_is_refused_with_another_way():
    with pytest.raises(UserError, match="gateway"):
        infer_model("bedrock:anthropic.claude")
    with pytest.raises(ImportError, match="not supported"):
        importlib.import_module("app.ai.models.bedrock")


async def sent(
    make: Any, messages: list[ModelMessage] = HELLO, settings: Any = None, parameters: Any = NOTHING, answer: Any = None
) -> dict[str, Any]:
    with serve([answer or completion()]) as server:
        async with make(server.url) as model:
            await model.request(messages, settings, parameters)
    return {**server.requests[0], "target": server.targets[0], "headers": server.headers[0]}


def openrouter(url: str) -> OpenRouterModel:
    return OpenRouterModel("a/b", provider=OpenRouterProvider(base_url=url, api_key="k", app_title="Mine"))


async def test_openrouter_is_told_whom_to_ask_and_what_to_cache():
    settings = OpenRouterModelSettings(
        openrouter_models=["c/d"],
        openrouter_provider={"only": ["x"]},
        openrouter_reasoning={"max_tokens": 5},
        openrouter_cache_instructions=True,
        openrouter_cache_messages="1h",
    )
    content = ["Long.", CachePoint(ttl="1h"), VideoUrl("http://x.test/a.mp4"), "Short."]
    parameters = ModelRequestParameters(native_tools=[WebSearchTool(blocked_domains=["x.test"])])
    messages: list[ModelMessage] = [ModelRequest([SystemPromptPart("Be."), UserPromptPart(content)])]
    body = await sent(openrouter, messages, settings, parameters)
    five, hour = {"type": "ephemeral", "ttl": "5m"}, {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"] == [
        {"role": "system", "content": [{"type": "text", "text": "Be.", "cache_control": five}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Long.", "cache_control": hour},
                {"type": "video_url", "video_url": {"url": "http://x.test/a.mp4"}},
                {"type": "text", "text": "Short.", "cache_control": hour},
            ],
        },
    ]
    assert body["tools"][0]["type"] == "openrouter:web_search"
    assert body["tools"][0]["parameters"]["excluded_domains"] == ["x.test"]
    assert (body["models"], body["provider"], body["reasoning"]) == (["c/d"], {"only": ["x"]}, {"max_tokens": 5})
    assert body["headers"]["x-title"] == "Mine"


async def test_groq_searches_where_it_may():
    def groq(url: str) -> GroqModel:
        return GroqModel("compound-beta", provider=infer_provider_class("groq")(base_url=url, api_key="k"))  # type: ignore[call-arg]

    parameters = ModelRequestParameters(native_tools=[WebSearchTool(allowed_domains=["x.test"])])
    body = await sent(groq, HELLO, GroqModelSettings(groq_reasoning_format="parsed"), parameters)
    assert body["search_settings"] == {"include_domains": ["x.test"]}
    assert body["reasoning_format"] == "parsed"


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ('{"name": "look", "arguments": {"at": 1}}', ToolCallPart("look", {"at": 1}, "id")),
        ("maybe", TextPart("maybe")),
    ],
)
@pytest.mark.parametrize("way", ["whole", "refused stream", "in the stream"])
async def test_a_call_that_groq_refuses_is_the_answer(said: str, part: TextPart | ToolCallPart, way: str):
    error = {"error": {"message": "no", "code": "tool_use_failed", "failed_generation": said, "status_code": 400}}
    answer = stream({"choices": [{"delta": {"reasoning": "Hm"}}]}, error)
    with serve([answer if way == "in the stream" else as_json(error, status=400)]) as server:
        provider = infer_provider_class("groq")(base_url=server.url, api_key="a-key")  # type: ignore[call-arg]
        async with GroqModel("m", provider=provider) as model:
            response = await (model.request(HELLO, None, NOTHING) if way == "whole" else streamed(model))
    made = response.parts[-1]
    if isinstance(made, ToolCallPart):
        made.tool_call_id = "id"
    assert made == part
    assert (response.finish_reason, len(response.parts)) == ("error", 2 if way == "in the stream" else 1)


async def test_other_refusals_of_groq_stay_errors():
    with serve([as_json({"error": {"message": "no", "code": "invalid_request"}}, status=400)]) as server:
        provider = infer_provider_class("groq")(base_url=server.url, api_key="a-key")  # type: ignore[call-arg]
        async with GroqModel("m", provider=provider) as model:
            for ask in (model.request(HELLO, None, NOTHING), streamed(model)):
                with pytest.raises(ModelHTTPError):
                    await ask


async def test_xai_keeps_nothing_unless_told_to_and_searches_posts():
    def xai(url: str) -> XaiModel:
        return XaiModel("grok-4", provider=LiteLLMProvider(api_base=url, api_key="k"))

    parameters = ModelRequestParameters(native_tools=[XSearchTool(allowed_x_handles=["a"])])
    settings = XaiModelSettings(xai_include_encrypted_content=True)
    body = await sent(xai, HELLO, settings, parameters, as_json(RESPONSES.answer))
    assert body["store"] is False
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["tools"] == [{"type": "x_search", "allowed_x_handles": ["a"]}]


def service_model(service: str) -> Any:
    def make(url: str) -> HTTPModel:
        provider: Any = infer_provider_class(service)
        model = infer_model(f"{service}:m", lambda _: provider(base_url=url, api_key="k"))
        assert isinstance(model, HTTPModel)
        return model

    return make


async def test_links_to_documents_go_where_the_server_follows_them():
    messages: list[ModelMessage] = [ModelRequest([UserPromptPart([DocumentUrl("http://x.test/a.pdf")])])]
    mistral = await sent(service_model("mistral"), messages)
    assert mistral["messages"][0]["content"] == [{"type": "document_url", "document_url": "http://x.test/a.pdf"}]
    perplexity = await sent(service_model("perplexity"), messages)
    assert perplexity["messages"][0]["content"] == [{"type": "file_url", "file_url": {"url": "http://x.test/a.pdf"}}]


async def test_mistrals_thoughts_go_back_as_items():
    answer = ModelResponse([ThinkingPart("Hm.", provider_name="mistral"), TextPart("Yes.")])
    body = await sent(service_model("mistral"), [*HELLO, answer, *HELLO])
    assert body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "Yes."},
    ]


async def test_azures_older_api_has_the_deployment_in_its_address():
    def azure(url: str) -> HTTPModel:
        provider = AzureProvider(azure_endpoint=url, api_version="2024-12-01", api_key="k")
        model = infer_model("azure:mine", lambda _: provider)
        assert isinstance(model, HTTPModel)
        return model

    body = await sent(azure)
    assert body["target"] == "/v1/openai/deployments/mine/chat/completions?api-version=2024-12-01"


def test_addresses_that_depend_on_arguments(monkeypatch: pytest.MonkeyPatch):
    assert (
        HuggingFaceProvider(api_key="k", provider_name="nebius").base_url == "https://router.huggingface.co/nebius/v1"
    )
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://far/v1")
    assert infer_model("ollama:x").base_url == "http://far/v1"
    vertex = GoogleProvider(vertexai=True, project="p", location="eu", access_token=lambda: "t")
    assert vertex.base_url == "https://eu-aiplatform.googleapis.com/v1beta1/projects/p/locations/eu/publishers/google"
    assert vertex.headers == {"Authorization": "Bearer t"}
