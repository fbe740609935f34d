"""Mistral AI."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.known_names import LatestMistralModelNames
from app.ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from app.ai.settings import ModelSettings

__all__ = (
    "LatestMistralModelNames",
    "MistralModel",
    "MistralModelName",
    "MistralModelSettings",
    "MistralStreamedResponse",
)

MistralModelName: TypeAlias = str | LatestMistralModelNames
MistralStreamedResponse = OpenAIStreamedResponse


class MistralModelSettings(ModelSettings, total=False):
    """Settings of Mistral AI."""


class MistralModel(OpenAIChatModel):
    """A model of Mistral AI."""

    default_provider = "mistral"
