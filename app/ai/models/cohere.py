"""Cohere."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.known_names import LatestCohereModelNames
from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = (
    "CohereModel",
    "CohereModelName",
    "CohereModelSettings",
    "LatestCohereModelNames",
)

CohereModelName: TypeAlias = str | LatestCohereModelNames


class CohereModelSettings(ModelSettings, total=False):
    """Settings of Cohere, asked by its API in the manner of OpenAI."""


class CohereModel(OpenAIChatModel):
    """A model of Cohere, asked by its API in the manner of OpenAI."""

    default_provider = "cohere"
