"""What xAI's models can do."""

from __future__ import annotations

from dataclasses import dataclass

from app.ai.profiles import ModelProfile

__all__ = "GrokModelProfile", "grok_model_profile"


@dataclass(kw_only=True)
class GrokModelProfile(ModelProfile):
    """What a model of xAI can do."""

    grok_supports_builtin_tools: bool = False
    """Whether it may use the provider's own tools."""
    grok_supports_tool_choice_required: bool = True


def grok_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    newer = model_name.startswith("grok-4") or "code" in model_name
    reasons = (newer or model_name.startswith("grok-3-mini")) and "non-reasoning" not in model_name
    return GrokModelProfile(
        supports_json_schema_output=True,
        supports_json_object_output=True,
        supports_thinking=reasons,
        thinking_always_enabled=reasons,
        grok_supports_builtin_tools=newer,
    )
