"""What Z.AI's models can do."""

from __future__ import annotations

import re

from app.ai.profiles import ModelProfile

__all__ = ("zai_model_profile",)

_THINKS = re.compile(r"glm-(4\.[5-9]|[5-9])")


def zai_model_profile(model_name: str) -> ModelProfile | None:
    """The profile of a model by its name."""
    return ModelProfile(supports_thinking=bool(_THINKS.search(model_name.lower())))
