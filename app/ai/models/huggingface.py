"""Hugging Face's inference providers."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.known_names import LatestHuggingFaceModelNames
from app.ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from app.ai.settings import ModelSettings

__all__ = (
    "HuggingFaceModel",
    "HuggingFaceModelName",
    "HuggingFaceModelSettings",
    "HuggingFaceStreamedResponse",
    "LatestHuggingFaceModelNames",
)

HuggingFaceModelName: TypeAlias = str | LatestHuggingFaceModelNames
HuggingFaceStreamedResponse = OpenAIStreamedResponse


class HuggingFaceModelSettings(ModelSettings, total=False):
    """Settings of Hugging Face's inference providers."""


class HuggingFaceModel(OpenAIChatModel):
    """A model of Hugging Face's inference providers."""

    default_provider = "huggingface"
