"""Hugging Face's inference providers."""

from __future__ import annotations

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "HuggingFaceModel", "HuggingFaceModelSettings"


class HuggingFaceModelSettings(ModelSettings, total=False):
    """Settings of Hugging Face's inference providers."""


class HuggingFaceModel(OpenAIChatModel):
    """A model of Hugging Face's inference providers."""

    default_provider = "huggingface"
