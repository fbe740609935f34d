"""What models that speak OpenAI's Harmony format, such as gpt-oss, can do."""

from __future__ import annotations

from app.ai.profiles import ModelProfile
from app.ai.profiles.openai import OpenAIModelProfile, openai_model_profile

__all__ = ("harmony_model_profile",)


def harmony_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return openai_model_profile(model_name).update(
        OpenAIModelProfile(
            supports_thinking=True,
            openai_supports_tool_choice_required=False,
            ignore_streamed_leading_whitespace=True,
        )
    )
