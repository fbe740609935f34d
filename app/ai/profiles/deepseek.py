"""What DeepSeek's models can do."""

from __future__ import annotations

from app.ai.profiles import ModelProfile

__all__ = ("deepseek_model_profile",)


def deepseek_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    reasons = "r1" in model_name.lower() or "reasoner" in model_name.lower()
    return ModelProfile(
        ignore_streamed_leading_whitespace="r1" in model_name.lower(),
        supports_thinking=reasons,
        thinking_always_enabled=reasons,
    )
