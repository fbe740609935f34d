"""Z.AI."""

from __future__ import annotations

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "ZaiModel", "ZaiModelSettings"


class ZaiModelSettings(ModelSettings, total=False):
    """Settings of Z.AI."""


class ZaiModel(OpenAIChatModel):
    """A model of Z.AI."""

    default_provider = "zai"
