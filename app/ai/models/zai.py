"""Z.AI."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "ZaiModel", "ZaiModelName", "ZaiModelSettings"

ZaiModelName: TypeAlias = str


class ZaiModelSettings(ModelSettings, total=False):
    """Settings of Z.AI."""


class ZaiModel(OpenAIChatModel):
    """A model of Z.AI."""

    default_provider = "zai"
