"""Models: what every one offers to a run, and how one is found by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from app.ai.exceptions import UserError
from app.ai.models.downloaded import DownloadedItem, download_item
from app.ai.models.known_names import KnownModelName
from app.ai.models.model import Model
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.request_context import ModelRequestContext
from app.ai.models.streamed_response import StreamedResponse
from app.ai.profiles import DEFAULT_PROFILE, ModelProfile

if TYPE_CHECKING:
    import httpx

    from app.ai.providers import Provider

__all__ = (
    "ALLOW_MODEL_REQUESTS",
    "DEFAULT_HTTP_TIMEOUT",
    "DownloadedItem",
    "KnownModelName",
    "Model",
    "ModelRequestContext",
    "ModelRequestParameters",
    "StreamedResponse",
    "cached_async_http_client",
    "check_allow_model_requests",
    "create_async_http_client",
    "download_item",
    "get_user_agent",
    "infer_model",
    "infer_model_profile",
    "override_allow_model_requests",
    "parse_model_id",
)

DEFAULT_HTTP_TIMEOUT = 600
"""Seconds that `create_async_http_client` waits for an answer."""

ALLOW_MODEL_REQUESTS = True
"""Set to False, as in a test suite, to make every request to a real provider fail. Test models always work."""


_PROVIDER_OF_NAME = {
    "gpt": "openai",
    "o1": "openai",
    "o3": "openai",
    "claude": "anthropic",
    "gemini": "google-gla",
}
"""Who makes the models whose names begin so."""


def check_allow_model_requests() -> None:
    """Raise RuntimeError if requests to real providers are switched off."""
    if not ALLOW_MODEL_REQUESTS:
        raise RuntimeError("Requests to model providers are switched off: ALLOW_MODEL_REQUESTS is False")


@contextmanager
def override_allow_model_requests(allow_model_requests: bool) -> Generator[None]:
    """Set `ALLOW_MODEL_REQUESTS` within the block."""
    global ALLOW_MODEL_REQUESTS
    before = ALLOW_MODEL_REQUESTS
    ALLOW_MODEL_REQUESTS = allow_model_requests  # pyright: ignore[reportConstantRedefinition]
    try:
        yield
    finally:
        ALLOW_MODEL_REQUESTS = before  # pyright: ignore[reportConstantRedefinition]


def infer_model(
    model: Model | KnownModelName | str, provider_factory: Callable[[str], Provider[Any]] | None = None
) -> Model:
    """The model that a string such as `openai:gpt-5` or `test` names; a model stays itself.

    UserError if the string names no provider that we know.
    """
    if isinstance(model, Model):
        return model
    if model == "test":
        from app.ai.models.test import TestModel

        return TestModel()
    if not isinstance(model, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UserError(f"A model is a `Model` or a string such as `openai:gpt-5`; got {model!r}.")
    provider_name, model_name = parse_model_id(model)
    if provider_name is None:
        raise UserError(f"Unknown model: {model!r}. A model is named as `provider:name`, such as `openai:gpt-5`.")
    if provider_factory is None:
        from app.ai.providers import infer_provider as provider_factory
    return _model_class(provider_name)(model_name, provider=provider_factory(provider_name))


def parse_model_id(model: str) -> tuple[str | None, str]:
    """Provider and name of a model as `provider:name`; the provider is None if it is not said and cannot be guessed."""
    provider_name, _, model_name = model.partition(":")
    if model_name:
        return provider_name, model_name
    for beginning, provider_name in _PROVIDER_OF_NAME.items():
        if model.startswith(beginning):
            name = f"{provider_name}:{model}"
            warnings.warn(f"A model name without its provider is deprecated, use `{name}`", DeprecationWarning, 3)
            return provider_name, model
    return None, model


def infer_model_profile(model: str) -> ModelProfile:
    """What the model of that name can do. No key is needed; the default profile if nothing is known of it."""
    from app.ai.providers import infer_provider_class

    provider_name, model_name = parse_model_id(model)
    if provider_name is None:
        return infer_model(model).profile
    return infer_provider_class(provider_name).model_profile(model_name) or DEFAULT_PROFILE


_CLASSES: Mapping[str, str] = {
    "anthropic": "anthropic:AnthropicModel",
    "openai-responses": "openai:OpenAIResponsesModel",
    "google": "google:GoogleModel",
    "google-gla": "google:GoogleModel",
    "google-vertex": "google:GoogleModel",
    "cerebras": "cerebras:CerebrasModel",
    "cohere": "cohere:CohereModel",
    "groq": "groq:GroqModel",
    "huggingface": "huggingface:HuggingFaceModel",
    "mistral": "mistral:MistralModel",
    "ollama": "ollama:OllamaModel",
    "openrouter": "openrouter:OpenRouterModel",
    "xai": "xai:XaiModel",
    "zai": "zai:ZaiModel",
}
"""Module and class of the models of each provider whose models are not asked just as OpenAI's chat models."""


def create_async_http_client(*, timeout: float = DEFAULT_HTTP_TIMEOUT, connect: float = 5) -> httpx.AsyncClient:
    """A new HTTP client for requests to providers; whoever makes it closes it. Times are in seconds."""
    from app.ai.models.http_clients import create

    return create(timeout, connect)


def cached_async_http_client(
    *, provider: str | None = None, timeout: float = DEFAULT_HTTP_TIMEOUT, connect: float = 5
) -> httpx.AsyncClient:
    """The HTTP client that all who ask for the same share. Share it on one event loop only."""
    from app.ai.models.http_clients import shared

    return shared(provider, timeout, connect)


def get_user_agent() -> str:
    """How our requests name the program that sends them."""
    from app.ai.providers.clients import USER_AGENT

    return USER_AGENT


def _model_class(provider_name: str) -> Any:
    # Imported when asked for: a model's API takes time to import, and few programs need more than one.
    provider_name = provider_name.removeprefix("gateway/")
    module, _, name = _CLASSES.get(provider_name, "openai:OpenAIChatModel").partition(":")
    return getattr(import_module(f"app.ai.models.{module}"), name)
