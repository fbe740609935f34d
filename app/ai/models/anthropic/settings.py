"""Settings of a Messages request, and the part of its body that they make."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Literal

from app.ai.profiles.anthropic import AnthropicModelProfile
from app.ai.settings import ModelSettings, ThinkingLevel

CacheTTL = bool | Literal["5m", "1h"]
"""Whether, and for how long, the provider shall cache; True is five minutes."""


class AnthropicModelSettings(ModelSettings, total=False):
    """Settings that only this API knows."""

    anthropic_metadata: dict[str, Any]
    anthropic_thinking: dict[str, Any]
    """The API's own `thinking` object, instead of the setting `thinking`."""
    anthropic_effort: Literal["low", "medium", "high", "xhigh", "max"]
    anthropic_service_tier: Literal["auto", "standard_only"]
    anthropic_container: str | dict[str, Any]
    anthropic_context_management: dict[str, Any]
    anthropic_task_budget: dict[str, Any]
    """The API's own `task_budget` object: how many tokens the whole of the work may take."""
    anthropic_betas: list[str]
    anthropic_speed: Literal["standard", "fast"]
    """How fast, and at which price, the answer is made; a preview of a few models."""
    anthropic_eager_input_streaming: bool
    """Stream the arguments of calls as they are made, without waiting for whole values."""
    anthropic_cache: CacheTTL
    """Let the provider find the prefix to cache."""
    anthropic_cache_instructions: CacheTTL
    anthropic_cache_tool_definitions: CacheTTL
    anthropic_cache_messages: CacheTTL
    """Cache up to the end of the newest message."""


DEFAULT_MAX_TOKENS = 4096
"""The API wants a limit with every request."""

_SAMPLING = ("temperature", "top_p", "top_k")
_NAMES = {
    **{name: name for name in (*_SAMPLING, "stop_sequences")},
    "anthropic_metadata": "metadata",
    "anthropic_service_tier": "service_tier",
    "anthropic_container": "container",
    "anthropic_speed": "speed",
    "anthropic_context_management": "context_management",
}
_SERVICE_TIERS = {"auto": "auto", "default": "standard_only"}
_THINKING_BUDGETS: Mapping[ThinkingLevel, int] = {
    True: 8192,
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
}
_EFFORTS: Mapping[ThinkingLevel, str] = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
}


def cache_control(ttl: CacheTTL) -> dict[str, Any]:
    """The mark at the end of a prefix that shall be cached."""
    return {"type": "ephemeral", "ttl": "5m" if ttl is True else ttl}


def settings_body(
    settings: ModelSettings, level: ThinkingLevel | None, profile: AnthropicModelProfile
) -> dict[str, Any]:
    """Settings under the API's names."""
    given: dict[str, Any] = {**settings}
    body = _thinking_body(given, level, profile)
    thinks = body.get("thinking", {}).get("type", "disabled") != "disabled"
    for name in _SAMPLING if thinks or not profile.anthropic_supports_sampling_settings else ():
        if given.get(name) not in (None, 1.0):
            warnings.warn(f"Anthropic does not take {name} with this model or with thinking; left out", stacklevel=2)
            del given[name]
    body |= {name: given[key] for key, name in _NAMES.items() if given.get(key) is not None}
    if tier := _SERVICE_TIERS.get(given.get("service_tier", "")):
        body.setdefault("service_tier", tier)
    if ttl := given.get("anthropic_cache"):
        body["cache_control"] = cache_control(ttl)
    return body


def _thinking_body(
    given: Mapping[str, Any], level: ThinkingLevel | None, profile: AnthropicModelProfile
) -> dict[str, Any]:
    max_tokens: int | None = given.get("max_tokens")
    effort: str | None = given.get("anthropic_effort")
    thinking: dict[str, Any] | None = given.get("anthropic_thinking")
    if thinking is None and level is not None:
        if profile.anthropic_supports_adaptive_thinking:
            thinking = {"type": "adaptive" if level else "disabled"}
            effort = effort or _EFFORTS.get(level)
        else:
            thinking = _with_budget(level, max_tokens)
    # The budget is a part of the limit, so the default has to leave room for the answer.
    budget = (thinking or {}).get("budget_tokens", 0)
    default = DEFAULT_MAX_TOKENS if budget < DEFAULT_MAX_TOKENS else DEFAULT_MAX_TOKENS + budget
    body: dict[str, Any] = {"max_tokens": max_tokens or default}
    if thinking is not None:
        body["thinking"] = thinking
    config = {"effort": effort, "task_budget": given.get("anthropic_task_budget")}
    if config := {key: value for key, value in config.items() if value is not None}:
        body["output_config"] = config
    return body


def _with_budget(level: ThinkingLevel, max_tokens: int | None) -> dict[str, Any]:
    if level is False:
        return {"type": "disabled"}
    budget = _THINKING_BUDGETS[level]
    return {"type": "enabled", "budget_tokens": min(budget, max_tokens - 1) if max_tokens else budget}
