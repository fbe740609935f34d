"""Models by name: which names there are, what they mean, and the HTTP clients that go with them."""

from __future__ import annotations

import asyncio
from typing import get_args

import httpx
import pytest
from typing_extensions import TypeAliasType

from app.ai.exceptions import UserError
from app.ai.models import (
    KnownModelName,
    cached_async_http_client,
    create_async_http_client,
    get_user_agent,
    infer_model,
    infer_model_profile,
    parse_model_id,
)
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.groq import GroqModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.profiles import DEFAULT_PROFILE
from app.ai.providers import infer_provider, infer_provider_class
from app.ai.providers.gateway import gateway_provider
from app.ai.providers.openai import OpenAIProvider
from tests.ai.models.apis import CHAT, HELLO, NOTHING


def test_known_names_are_a_literal_and_each_names_a_provider_that_there_is():
    assert isinstance(KnownModelName, TypeAliasType)
    names: tuple[str, ...] = get_args(KnownModelName.__value__)
    assert {"test", "openai:gpt-5", "anthropic:claude-sonnet-4-5"} < set(names)
    for name in set(names) - {"test"}:
        provider, model = parse_model_id(name)
        assert provider and model and infer_provider_class(provider)


def test_a_name_is_taken_apart_at_its_first_colon():
    assert parse_model_id("openai:gpt-5") == ("openai", "gpt-5")
    assert parse_model_id("ollama:qwen3:8b") == ("ollama", "qwen3:8b")
    assert parse_model_id("foobar") == (None, "foobar")
    with pytest.warns(DeprecationWarning, match="openai:gpt-5"):
        assert parse_model_id("gpt-5") == ("openai", "gpt-5")


def test_the_profile_of_a_name_needs_no_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert infer_model_profile("openai:gpt-5").supports_thinking
    assert infer_model_profile("test") == infer_model("test").profile
    assert DEFAULT_PROFILE not in (
        infer_model_profile("groq:qwen/qwen3-32b"),
        infer_model_profile("google-gla:gemini-3"),
    )


def test_an_unknown_provider_is_a_value_error_and_a_user_error():
    with pytest.raises(ValueError, match="Unknown provider: nowhere"):
        infer_provider_class("nowhere")
    with pytest.raises(UserError, match="Unknown provider: nowhere"):
        infer_model("nowhere:model")


async def test_shared_clients_are_one_for_each_provider_until_somebody_closes_them():
    client = cached_async_http_client(provider="of-this-test")
    assert cached_async_http_client(provider="of-this-test") is client
    assert cached_async_http_client(provider="another") is not client
    assert client.timeout == httpx.Timeout(600, connect=5)
    await client.aclose()
    assert cached_async_http_client(provider="of-this-test") is not client
    own = create_async_http_client(timeout=3, connect=1)
    assert own.timeout == httpx.Timeout(3, connect=1)
    assert own.headers["user-agent"] == get_user_agent()


async def test_requests_say_which_program_sends_them():
    async with CHAT.model_with() as (model, server):
        await model.request(HELLO, None, NOTHING)
        assert {key.lower(): value for key, value in server.headers[0].items()}["user-agent"] == get_user_agent()


async def test_a_client_that_was_made_outside_of_a_loop_is_that_of_the_first_loop():
    provider = OpenAIProvider(api_key="k")
    early = await asyncio.to_thread(lambda: provider.client)
    assert provider.client is early
    assert provider.client is early


@pytest.mark.parametrize(
    ("name", "kind", "url", "system"),
    [
        ("openai", OpenAIChatModel, "https://gateway.pydantic.dev/proxy/openai/", "openai"),
        ("openai-responses", OpenAIResponsesModel, "https://gateway.pydantic.dev/proxy/openai/", "openai"),
        ("anthropic", AnthropicModel, "https://gateway.pydantic.dev/proxy/anthropic", "anthropic"),
        ("groq", GroqModel, "https://gateway.pydantic.dev/proxy/groq", "groq"),
        (
            "google-vertex",
            GoogleModel,
            "https://gateway.pydantic.dev/proxy/google-vertex/v1beta1/publishers/google",
            "google-vertex",
        ),
    ],
)
def test_models_behind_the_gateway(monkeypatch: pytest.MonkeyPatch, name: str, kind: type, url: str, system: str):
    monkeypatch.setenv("PYDANTIC_AI_GATEWAY_API_KEY", "secret")
    monkeypatch.delenv("PYDANTIC_AI_GATEWAY_BASE_URL", raising=False)
    model = infer_model(f"gateway/{name}:some-model")
    assert type(model) is kind
    assert (model.base_url, model.system, model.model_name) == (url, system, "some-model")
    assert infer_provider(f"gateway/{name}").name == system


def test_the_gateway_is_found_by_its_key_its_address_and_its_route(monkeypatch: pytest.MonkeyPatch):
    for variable in ("PYDANTIC_AI_GATEWAY_API_KEY", "PYDANTIC_AI_GATEWAY_BASE_URL", "PAIG_API_KEY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UserError, match="PYDANTIC_AI_GATEWAY_API_KEY"):
        gateway_provider("openai")
    with pytest.raises(UserError, match="does not reach 'mistral'"):
        gateway_provider("mistral", api_key="k")
    own = gateway_provider("openai", api_key="k", base_url="https://gateway.test/", route="my-route")
    assert own.base_url == "https://gateway.test/my-route/"
    regional = gateway_provider("anthropic", api_key="pylf_v1_eu_secret")
    assert regional.base_url == "https://gateway-eu.pydantic.dev/proxy/anthropic"
    assert regional.headers == {"Authorization": "Bearer pylf_v1_eu_secret"}
