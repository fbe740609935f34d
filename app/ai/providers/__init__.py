"""Providers: where a model's API is, and the key and connections to reach it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile

__all__ = "Provider", "infer_provider"

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

    def redact(self, text: str) -> str:
        """The text without the API key, for servers that repeat it in their errors."""
        return text

    def model_profile(self, model_name: str) -> ModelProfile | None:
        """What is known about a model of this provider."""
        return None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        return None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, base_url={self.base_url!r})"


def infer_provider(provider: str) -> Provider[Any]:
    """The provider of that name, set up from the environment; UserError if there is none."""
    if provider in ("openai", "openai-chat", "openai-responses"):
        from app.ai.providers.openai import OpenAIProvider

        return OpenAIProvider()
    if provider == "anthropic":
        from app.ai.providers.anthropic import AnthropicProvider

        return AnthropicProvider()
    if provider in ("google", "google-gla"):
        from app.ai.providers.google import GoogleProvider

        return GoogleProvider()
    if provider == "google-vertex":
        from app.ai.providers.google import GoogleVertexProvider

        return GoogleVertexProvider()
    return _compatible(provider)


def _compatible(provider: str) -> Provider[Any]:
    from app.ai.providers.compatible import SERVICES, AzureProvider, CompatibleProvider

    if provider == "azure":
        return AzureProvider()
    if provider in SERVICES:
        return CompatibleProvider(provider)
    known = ("openai", "anthropic", "google-gla", "google-vertex", "azure", *SERVICES)
    raise UserError(f"Unknown provider {provider!r}; known: {', '.join(known)}.")
