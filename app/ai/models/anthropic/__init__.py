"""Anthropic's Messages API."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.anthropic.messages_api import AnthropicModel
from app.ai.models.anthropic.settings import AnthropicModelSettings
from app.ai.models.anthropic.streaming import AnthropicStreamedResponse
from app.ai.models.known_names import LatestAnthropicModelNames

AnthropicModelName: TypeAlias = str | LatestAnthropicModelNames

__all__ = (
    "AnthropicModel",
    "AnthropicModelName",
    "AnthropicModelSettings",
    "AnthropicStreamedResponse",
    "LatestAnthropicModelNames",
)
