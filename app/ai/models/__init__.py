"""Models: what every one offers to a run, and how one is found by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from app.ai.exceptions import UserError
from app.ai.models.downloaded import DownloadedItem, download_item
from app.ai.models.model import Model
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.request_context import ModelRequestContext
from app.ai.models.streamed_response import StreamedResponse

if TYPE_CHECKING:
    from app.ai.providers import Provider

__all__ = (
    "ALLOW_MODEL_REQUESTS",
    "DownloadedItem",
    "KnownModelName",
    "Model",
    "ModelRequestContext",
    "ModelRequestParameters",
    "StreamedResponse",
    "check_allow_model_requests",
    "download_item",
    "infer_model",
    "override_allow_model_requests",
)

KnownModelName: TypeAlias = str
"""A model as `provider:name`, such as `openai:gpt-5`, or `test`."""

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


def infer_model(model: Model | KnownModelName, provider_factory: Callable[[str], Provider[Any]] | None = None) -> Model:
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
    provider_name, model_name = _split_name(model)
    if provider_factory is None:
        from app.ai.providers import infer_provider as provider_factory
    return _model_class(provider_name)(model_name, provider=provider_factory(provider_name))


def _split_name(model: str) -> tuple[str, str]:
    provider_name, _, model_name = model.partition(":")
    if model_name:
        return provider_name, model_name
    for beginning, provider_name in _PROVIDER_OF_NAME.items():
        if model.startswith(beginning):
            name = f"{provider_name}:{model}"
            warnings.warn(f"A model name without its provider is deprecated, use `{name}`", DeprecationWarning, 3)
            return provider_name, model
    raise UserError(f"Unknown model: {model!r}. A model is named as `provider:name`, such as `openai:gpt-5`.")


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


def _model_class(provider_name: str) -> Any:
    # Imported when asked for: a model's API takes time to import, and few programs need more than one.
    module, _, name = _CLASSES.get(provider_name, "openai:OpenAIChatModel").partition(":")
    return getattr(import_module(f"app.ai.models.{module}"), name)
