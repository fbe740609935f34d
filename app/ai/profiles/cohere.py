"""What Cohere's models can do."""

from __future__ import annotations

from app.ai.profiles import ModelProfile

__all__ = ("cohere_model_profile",)


def cohere_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return ModelProfile(supports_thinking="reasoning" in model_name)
