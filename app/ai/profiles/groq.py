"""What the models that Groq serves can do, apart from what their makers say."""

from __future__ import annotations

from dataclasses import dataclass

from app.ai.profiles import ModelProfile

__all__ = "GroqModelProfile", "groq_model_profile"


@dataclass(kw_only=True)
class GroqModelProfile(ModelProfile):
    """What a model of Groq can do."""

    groq_always_has_web_search_builtin_tool: bool = False
    """Whether it searches the web by itself."""


def groq_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return GroqModelProfile(groq_always_has_web_search_builtin_tool="compound" in model_name)
