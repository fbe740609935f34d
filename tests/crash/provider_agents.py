"""Agents whose models are asked at servers of a driver: what they are stands in the environment, as JSON."""

from __future__ import annotations

import json
import os
from typing import Any

from app.ai import Agent, Tool
from app.ai.models import Model
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.google import GoogleProvider
from app.ai.providers.openai import OpenAIProvider

PROVIDERS = "HOLDFAST_TEST_PROVIDERS"
SECRET = "key-that-nobody-may-see"


def provider_agents() -> dict[str, Agent[None, str]]:
    """`{agent: {"api": …, "base_url": …}}` of the environment as agents."""
    described: dict[str, dict[str, Any]] = json.loads(os.environ.get(PROVIDERS, "{}"))
    return {name: _agent(name, **fields) for name, fields in described.items()}


def _agent(name: str, api: str, base_url: str, settings: dict[str, Any] | None = None) -> Agent[None, str]:
    async def get_capital(country: str) -> str:
        return "London"

    schema = {"type": "object", "properties": {"country": {"type": "string"}}, "required": ["country"]}
    tool = Tool.from_schema(get_capital, name="get_capital", description="", json_schema=schema)
    return Agent(_model(api, base_url), name=name, tools=[tool], model_settings=settings or {})  # type: ignore[arg-type]


def _model(api: str, base_url: str) -> Model:
    match api:
        case "openai-chat":
            return OpenAIChatModel("m", provider=OpenAIProvider(base_url=base_url, api_key=SECRET))
        case "openai-responses":
            return OpenAIResponsesModel("m", provider=OpenAIProvider(base_url=base_url, api_key=SECRET))
        case "anthropic-messages":
            return AnthropicModel("m", provider=AnthropicProvider(base_url=base_url, api_key=SECRET))
        case "google-generate":
            return GoogleModel("m", provider=GoogleProvider(base_url=base_url, api_key=SECRET))
        case _:
            raise ValueError(f"no such API: {api}")
