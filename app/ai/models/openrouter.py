"""OpenRouter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeAlias, cast

from typing_extensions import TypedDict

from app.ai.messages import ModelMessage
from app.ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from app.ai.models.openai.content import cache_control
from app.ai.models.parameters import ModelRequestParameters
from app.ai.native_tools import AbstractNativeTool, WebSearchTool
from app.ai.settings import ModelSettings

__all__ = (
    "OpenRouterMaxPrice",
    "OpenRouterModel",
    "OpenRouterModelName",
    "OpenRouterModelSettings",
    "OpenRouterProviderConfig",
    "OpenRouterReasoning",
    "OpenRouterStreamedResponse",
    "OpenRouterUsageConfig",
)

OpenRouterModelName: TypeAlias = str
OpenRouterStreamedResponse = OpenAIStreamedResponse

CacheTTL = bool | Literal["5m", "1h"]


class OpenRouterMaxPrice(TypedDict, total=False):
    """The most that a request may cost, in dollars per million tokens."""

    prompt: float
    completion: float
    image: float
    audio: float
    request: float


class OpenRouterProviderConfig(TypedDict, total=False):
    """Which providers may be asked, and in which order."""

    order: list[str]
    allow_fallbacks: bool
    require_parameters: bool
    data_collection: Literal["allow", "deny"]
    zdr: bool
    """Only those that retain nothing."""
    only: list[str]
    ignore: list[str]
    quantizations: list[str]
    sort: Literal["price", "throughput", "latency"]
    max_price: OpenRouterMaxPrice


class OpenRouterReasoning(TypedDict, total=False):
    """How the model reasons."""

    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"]
    max_tokens: int
    exclude: bool
    """Whether thoughts are left out of the answer."""
    enabled: bool


class OpenRouterUsageConfig(TypedDict, total=False):
    """What is told of the usage."""

    include: bool


class OpenRouterModelSettings(ModelSettings, total=False):
    """Settings of OpenRouter."""

    openrouter_models: list[str]
    """Models to ask instead, in this order, if the first does not answer."""
    openrouter_provider: OpenRouterProviderConfig
    openrouter_preset: str
    openrouter_transforms: list[str]
    openrouter_reasoning: OpenRouterReasoning
    """The API's own `reasoning` object, instead of the setting `thinking`."""
    openrouter_usage: OpenRouterUsageConfig
    openrouter_cache_instructions: CacheTTL
    openrouter_cache_messages: CacheTTL
    """Cache up to the end of the newest message."""
    openrouter_cache_tool_definitions: CacheTTL


class OpenRouterModel(OpenAIChatModel):
    """A model that OpenRouter finds a provider for."""

    default_provider = "openrouter"
    vendor_settings: ClassVar[Mapping[str, str]] = {
        "openrouter_models": "models",
        "openrouter_provider": "provider",
        "openrouter_preset": "preset",
        "openrouter_transforms": "transforms",
        "openrouter_reasoning": "reasoning",
        "openrouter_usage": "usage",
    }

    def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
        return frozenset({WebSearchTool})

    def _native_tools_body(self, parameters: ModelRequestParameters) -> dict[str, Any]:
        return {}  # they stand among the functions

    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        body = await super()._body(messages, settings, parameters)
        if searches := [_web_search(tool) for tool in parameters.native_tools]:
            body["tools"] = [*body.get("tools", []), *searches]
        given = cast("dict[str, Any]", settings)
        if ttl := given.get("openrouter_cache_instructions"):
            system = [message for message in body["messages"] if message["role"] == "system"]
            _mark_end(system, cache_control(ttl))
        if ttl := given.get("openrouter_cache_messages"):
            _mark_end(body["messages"], cache_control(ttl))
        if (ttl := given.get("openrouter_cache_tool_definitions")) and body.get("tools"):
            body["tools"][-1] |= cache_control(ttl)
        return body


def _mark_end(messages: Sequence[dict[str, Any]], mark: dict[str, Any]) -> None:
    for message in messages[-1:]:
        if isinstance(message["content"], str):
            message["content"] = [{"type": "text", "text": message["content"]}]
        if message["content"]:
            message["content"][-1] |= mark


def _web_search(tool: WebSearchTool) -> dict[str, Any]:
    location = {"type": "approximate", **tool.user_location} if tool.user_location else None
    options = {
        "search_context_size": tool.search_context_size,
        "allowed_domains": tool.allowed_domains and list(tool.allowed_domains),
        "excluded_domains": tool.blocked_domains and list(tool.blocked_domains),
        "max_results": tool.max_uses,
        "user_location": location,
    }
    given = {name: option for name, option in options.items() if option is not None}
    return {"type": "openrouter:web_search", "parameters": given}
