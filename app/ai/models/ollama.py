"""Ollama."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.openai import OpenAIChatModel
from app.ai.settings import ModelSettings

__all__ = "OllamaModel", "OllamaModelName", "OllamaModelSettings"

OllamaModelName: TypeAlias = str


class OllamaModelSettings(ModelSettings, total=False):
    """Settings of an Ollama server."""


class OllamaModel(OpenAIChatModel):
    """A model of an Ollama server."""

    default_provider = "ollama"
