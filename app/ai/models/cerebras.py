"""Cerebras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "CerebrasModel", "CerebrasModelName", "CerebrasModelSettings"

CerebrasModelName: TypeAlias = str


class CerebrasModelSettings(ModelSettings, total=False):
    """Settings of Cerebras."""

    cerebras_disable_reasoning: bool
    cerebras_clear_thinking: bool
    """Whether thoughts of earlier turns are dropped."""


class CerebrasModel(OpenAIChatModel):
    """A model of Cerebras."""

    default_provider = "cerebras"
    vendor_settings: ClassVar[Mapping[str, str]] = {
        "cerebras_disable_reasoning": "disable_reasoning",
        "cerebras_clear_thinking": "clear_thinking",
    }
