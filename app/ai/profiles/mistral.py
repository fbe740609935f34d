"""What Mistral's models can do."""

from __future__ import annotations

from app.ai.profiles import ModelProfile

__all__ = ("mistral_model_profile",)


def mistral_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    reasons = "magistral" in model_name
    return ModelProfile(supports_thinking=reasons, thinking_always_enabled=reasons)
