"""OpenAI's Chat Completions API, and every server that speaks it."""

from __future__ import annotations

from app.ai.models.openai.chat import OpenAIChatModel, OpenAIChatModelSettings

OpenAIModel = OpenAIChatModel
OpenAIModelSettings = OpenAIChatModelSettings

__all__ = "OpenAIChatModel", "OpenAIChatModelSettings", "OpenAIModel", "OpenAIModelSettings"
