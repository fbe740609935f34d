"""Cohere."""

from __future__ import annotations

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "CohereModel", "CohereModelSettings"


class CohereModelSettings(ModelSettings, total=False):
    """Settings of Cohere, asked by its API in the manner of OpenAI."""


class CohereModel(OpenAIChatModel):
    """A model of Cohere, asked by its API in the manner of OpenAI."""

    default_provider = "cohere"
