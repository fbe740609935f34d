"""What Moonshot AI's models can do."""

from __future__ import annotations

from app.ai.profiles import ModelProfile

__all__ = ("moonshotai_model_profile",)


def moonshotai_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return ModelProfile(
        ignore_streamed_leading_whitespace=True,
        supports_thinking="thinking" in model_name,
        thinking_always_enabled="thinking" in model_name,
    )
