"""What Anthropic's models can do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.ai.profiles import ModelProfile
from app.ai.profiles.anthropic_schema import AnthropicJsonSchemaTransformer

__all__ = "AnthropicJsonSchemaTransformer", "AnthropicModelProfile", "anthropic_model_profile"


@dataclass(kw_only=True)
class AnthropicModelProfile(ModelProfile):
    """What a model behind the Messages API can do."""

    anthropic_supports_adaptive_thinking: bool = False
    """Whether the model itself decides how long it thinks, guided by an effort; others get a budget of tokens."""
    anthropic_supports_sampling_settings: bool = True
    """Whether temperature and its kin are accepted."""
    anthropic_supports_system_messages: bool = False
    """Whether a system prompt may stand where it came up; other models get all of them before the conversation."""


_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:-(\d{1,2}))?(?=[-@]|$)")


def anthropic_model_profile(model_name: str) -> AnthropicModelProfile:
    """The profile of a model by its name; names without a version count as the newest."""
    version = _version(model_name)
    return AnthropicModelProfile(
        json_schema_transformer=AnthropicJsonSchemaTransformer,
        thinking_tags=("<thinking>", "</thinking>"),
        supports_json_schema_output=version >= 4.01,
        supports_thinking=version >= 3.07,
        anthropic_supports_adaptive_thinking=version >= 4.06,
        anthropic_supports_sampling_settings=version < 4.07,
        anthropic_supports_system_messages=version >= 4.08,
    )


def _version(model_name: str) -> float:
    found = _VERSION.search(model_name)
    return int(found[1]) + int(found[2] or 0) / 100 if found else 99
