"""Anthropic's Messages API."""

from __future__ import annotations

from app.ai.models.anthropic.messages_api import AnthropicModel
from app.ai.models.anthropic.settings import AnthropicModelSettings

__all__ = "AnthropicModel", "AnthropicModelSettings"
