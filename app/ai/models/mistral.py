"""Mistral AI."""

from __future__ import annotations

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "MistralModel", "MistralModelSettings"


class MistralModelSettings(ModelSettings, total=False):
    """Settings of Mistral AI."""


class MistralModel(OpenAIChatModel):
    """A model of Mistral AI."""

    default_provider = "mistral"
