"""Services that speak OpenAI's API: where each one is, where its key comes from, and how it differs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import httpx

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile
from app.ai.profiles.families import family_profile
from app.ai.profiles.openai import CachePoints, OpenAIModelProfile, ThinkingStyle, openai_model_profile
from app.ai.providers.http import HTTPProvider

__all__ = "SERVICES", "CompatibleProvider", "NamedProvider", "Service"


@dataclass(kw_only=True, frozen=True)
class Service:
    """A service: its address, the variables of its settings, and what its server does otherwise than OpenAI's."""

    base_url: str
    key: str
    base_url_variable: str | None = None
    key_required: bool = True
    strict: bool = False
    """Whether the server takes `strict` in tools and schemas."""
    json_schema: bool = True
    tool_choice_required: bool | None = None
    """Whether a call can be demanded; None: as the model's family says."""
    stream_options: bool = True
    cache_points: CachePoints = None
    document_link: Literal["file_url", "document_url"] | None = None
    takes_video: bool = False
    thinking_in_content: bool = False
    thinking: ThinkingStyle = "reasoning_effort"
    """How thinking is asked for, see `OpenAIModelProfile`."""

    def profile(self, model_name: str) -> OpenAIModelProfile:
        """What a model of this service can do, as far as its name tells."""
        profile = openai_model_profile(model_name.rpartition("/")[2]).update(family_profile(model_name))
        profile.openai_max_tokens_field = "max_tokens"
        profile.openai_supports_strict_tool_definition &= self.strict
        if self.tool_choice_required is not None:
            profile.openai_supports_tool_choice_required = self.tool_choice_required
        profile.openai_supports_stream_options = self.stream_options
        profile.openai_supports_allowed_tools = False
        profile.openai_cache_points = self.cache_points
        profile.openai_document_link = self.document_link
        profile.openai_takes_video = self.takes_video
        profile.openai_thinking_in_content = self.thinking_in_content
        profile.openai_thinking_style = self.thinking
        profile.supports_json_schema_output = self.json_schema
        profile.supports_thinking = profile.supports_thinking or bool(_THINKERS.search(model_name))
        profile.openai_supports_encrypted_reasoning_content |= "grok" in model_name
        return profile


_THINKERS = re.compile(
    r"gpt-oss|qwen3|deepseek-(r|v[3-9])|reason|magistral|(mistral|ministral)-(small|medium|large)|glm-[4-9]|grok-(3-mini|[4-9])"
    r"|kimi-k2|claude-(\w+-)?[4-9]|claude-3[.-]7|gemini-(2\.5|[3-9])|minimax-m"
)

SERVICES: Mapping[str, Service] = {
    "alibaba": Service(
        base_url="https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        key="ALIBABA_API_KEY",
        base_url_variable="ALIBABA_BASE_URL",
        thinking="enable_thinking",
    ),
    "cerebras": Service(base_url="https://api.cerebras.ai/v1", key="CEREBRAS_API_KEY", strict=True),
    "cohere": Service(base_url="https://api.cohere.ai/compatibility/v1", key="CO_API_KEY"),
    "deepseek": Service(
        base_url="https://api.deepseek.com", key="DEEPSEEK_API_KEY", json_schema=False, thinking="thinking"
    ),
    "fireworks": Service(base_url="https://api.fireworks.ai/inference/v1", key="FIREWORKS_API_KEY"),
    "github": Service(base_url="https://models.github.ai/inference", key="GITHUB_API_KEY", strict=True),
    "grok": Service(base_url="https://api.x.ai/v1", key="GROK_API_KEY", strict=True),
    "groq": Service(
        base_url="https://api.groq.com/openai/v1", key="GROQ_API_KEY", strict=True, tool_choice_required=True
    ),
    "heroku": Service(
        base_url="https://us.inference.heroku.com/v1",
        key="HEROKU_INFERENCE_KEY",
        base_url_variable="HEROKU_INFERENCE_URL",
    ),
    "huggingface": Service(base_url="https://router.huggingface.co/v1", key="HF_TOKEN"),
    "litellm": Service(
        base_url="http://localhost:4000",
        base_url_variable="LITELLM_API_BASE",
        key="LITELLM_API_KEY",
        key_required=False,
    ),
    "mistral": Service(
        base_url="https://api.mistral.ai/v1",
        key="MISTRAL_API_KEY",
        stream_options=False,
        document_link="document_url",
        thinking_in_content=True,
    ),
    "moonshotai": Service(base_url="https://api.moonshot.ai/v1", key="MOONSHOTAI_API_KEY", tool_choice_required=False),
    "nebius": Service(base_url="https://api.studio.nebius.com/v1", key="NEBIUS_API_KEY"),
    "ollama": Service(
        base_url="http://localhost:11434/v1",
        base_url_variable="OLLAMA_BASE_URL",
        key="OLLAMA_API_KEY",
        key_required=False,
    ),
    "openrouter": Service(
        base_url="https://openrouter.ai/api/v1",
        key="OPENROUTER_API_KEY",
        strict=True,
        thinking="reasoning",
        cache_points="cache_control",
        takes_video=True,
    ),
    "ovhcloud": Service(base_url="https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", key="OVHCLOUD_API_KEY"),
    "perplexity": Service(base_url="https://api.perplexity.ai", key="PERPLEXITY_API_KEY", document_link="file_url"),
    "sambanova": Service(base_url="https://api.sambanova.ai/v1", key="SAMBANOVA_API_KEY"),
    "together": Service(base_url="https://api.together.xyz/v1", key="TOGETHER_API_KEY"),
    "vercel": Service(base_url="https://ai-gateway.vercel.sh/v1", key="VERCEL_AI_GATEWAY_API_KEY"),
    "vllm": Service(
        base_url="http://localhost:8000/v1",
        base_url_variable="VLLM_BASE_URL",
        key="VLLM_API_KEY",
        key_required=False,
    ),
    "xai": Service(base_url="https://api.x.ai/v1", key="XAI_API_KEY", strict=True),
    "zai": Service(
        base_url="https://api.z.ai/api/paas/v4",
        key="ZAI_API_KEY",
        json_schema=False,
        tool_choice_required=False,
        thinking="thinking",
    ),
}
"""Services by name, as in `groq:llama-3.3-70b-versatile`."""


class CompatibleProvider(HTTPProvider):
    """One of `SERVICES`, by name. What is not given comes from the service's own environment variables.

    A given `http_client` is used on whatever loop and never closed.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        if name not in SERVICES:
            raise UserError(f"Unknown service {name!r}; known: {', '.join(SERVICES)}.")
        service = self._service = SERVICES[name]
        own_url = os.environ.get(service.base_url_variable) if service.base_url_variable else None
        api_key = api_key or os.environ.get(service.key)
        if service.key_required and not api_key:
            raise UserError(f"The provider {name} needs an API key: set {service.key} or give api_key=...")
        super().__init__(
            name, base_url=base_url or own_url or service.base_url, api_key=api_key, http_client=http_client
        )

    def served_profile(self, model_name: str) -> ModelProfile:
        return self._service.profile(model_name)


class NamedProvider(CompatibleProvider):
    """A service that has a class of its own, named in `service`."""

    service: ClassVar[str]

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        super().__init__(self.service, base_url=base_url, api_key=api_key, http_client=http_client)

    @classmethod
    def model_profile(cls, model_name: str) -> ModelProfile:
        return SERVICES[cls.service].profile(model_name)
