"""OpenAI's Chat Completions and Responses APIs, and every server that speaks them."""

from __future__ import annotations

from app.ai.models.openai.chat import OpenAIChatModel, OpenAIChatModelSettings
from app.ai.models.openai.responses import OpenAIResponsesModel
from app.ai.models.openai.responses_body import OpenAIResponsesModelSettings

OpenAIModel = OpenAIChatModel
OpenAIModelSettings = OpenAIChatModelSettings

__all__ = (
    "OpenAIChatModel",
    "OpenAIChatModelSettings",
    "OpenAIModel",
    "OpenAIModelSettings",
    "OpenAIResponsesModel",
    "OpenAIResponsesModelSettings",
)
