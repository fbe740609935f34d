"""Providers: where a model's API is, and the key and connections to reach it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile

__all__ = "Provider", "infer_provider", "infer_provider_class"

InterfaceClient = TypeVar("InterfaceClient")


class Provider(ABC, Generic[InterfaceClient]):
    """Where a model's API is. Entering it as an async context keeps its connections until the last exit."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The provider's name."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """The address that the API's paths are added to."""

    @property
    @abstractmethod
    def client(self) -> InterfaceClient:
        """What requests are sent with; asked for anew for every request, on the running event loop."""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that authorise a request, for clients that do not send them by themselves."""
        return {}

    def path(self, path: str, model_name: str) -> str:
        """Where below the base URL a path of the API is for a model."""
        return path

    def redact(self, text: str) -> str:
        """The text without the API key, for servers that repeat it in their errors."""
        return text

    @classmethod
    def model_profile(cls, model_name: str) -> ModelProfile | None:
        """What is known about a model of this provider."""
        return None

    def served_profile(self, model_name: str) -> ModelProfile | None:
        """What is known about a model as the server at this address serves it."""
        return self.model_profile(model_name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, base_url={self.base_url!r})"


_CLASSES: Mapping[str, str] = {
    "openai": "openai:OpenAIProvider",
    "openai-chat": "openai:OpenAIProvider",
    "openai-responses": "openai:OpenAIProvider",
    "anthropic": "anthropic:AnthropicProvider",
    "google": "google:GoogleProvider",
    "google-gla": "google:GoogleProvider",
    "google-vertex": "google:GoogleVertexProvider",
    "azure": "azure:AzureProvider",
    "alibaba": "alibaba:AlibabaProvider",
    "cerebras": "cerebras:CerebrasProvider",
    "cohere": "cohere:CohereProvider",
    "deepseek": "deepseek:DeepSeekProvider",
    "fireworks": "fireworks:FireworksProvider",
    "github": "github:GitHubProvider",
    "grok": "grok:GrokProvider",
    "groq": "groq:GroqProvider",
    "heroku": "heroku:HerokuProvider",
    "mistral": "mistral:MistralProvider",
    "moonshotai": "moonshotai:MoonshotAIProvider",
    "nebius": "nebius:NebiusProvider",
    "ollama": "ollama:OllamaProvider",
    "ovhcloud": "ovhcloud:OVHcloudProvider",
    "perplexity": "perplexity:PerplexityProvider",
    "sambanova": "sambanova:SambaNovaProvider",
    "together": "together:TogetherProvider",
    "vercel": "vercel:VercelProvider",
    "vllm": "vllm:VLLMProvider",
    "xai": "xai:XaiProvider",
    "zai": "zai:ZaiProvider",
    "huggingface": "huggingface:HuggingFaceProvider",
    "litellm": "litellm:LiteLLMProvider",
    "openrouter": "openrouter:OpenRouterProvider",
}
"""Module and class of each provider; a module is imported when its provider is asked for."""

_NOT_SUPPORTED: Mapping[str, str] = {
    "bedrock": "Amazon Bedrock signs requests and frames streams in its own way; ask its models through a gateway that "
    "speaks the API of OpenAI or Anthropic, with OpenAIProvider(base_url=...) or AnthropicProvider(base_url=...)",
    "outlines": "models do not run in the process; serve them, such as by vLLM or Ollama",
}


class UnknownProviderError(UserError, ValueError):
    """There is no provider of that name."""


_GATEWAY = "gateway/"
"""Before the name of a provider that is reached through the gateway."""


def infer_provider_class(provider: str) -> type[Provider[Any]]:
    """The class of the provider of that name; a UserError that is a ValueError, too, if there is none."""
    provider = provider.removeprefix(_GATEWAY)
    if provider in _NOT_SUPPORTED:
        raise UnknownProviderError(f"The provider {provider!r} is not supported: {_NOT_SUPPORTED[provider]}.")
    if provider not in _CLASSES:
        raise UnknownProviderError(f"Unknown provider: {provider}; known: {', '.join(_CLASSES)}.")
    module, _, name = _CLASSES[provider].partition(":")
    return getattr(import_module(f"app.ai.providers.{module}"), name)


def infer_provider(provider: str) -> Provider[Any]:
    """The provider of that name, set up from the environment; UserError if there is none."""
    if provider.startswith(_GATEWAY):
        from app.ai.providers.gateway import gateway_provider

        return gateway_provider(provider.removeprefix(_GATEWAY))
    return infer_provider_class(provider)()
