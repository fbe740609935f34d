"""OpenAI's Chat Completions and Responses APIs, and every server that speaks them."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.known_names import LatestOpenAIModelNames
from app.ai.models.openai.chat import OpenAIChatModel, OpenAIChatModelSettings
from app.ai.models.openai.responses import OpenAIResponsesModel
from app.ai.models.openai.responses_body import OpenAIResponsesModelSettings
from app.ai.models.openai.responses_streaming import OpenAIResponsesStreamedResponse
from app.ai.models.openai.streaming import OpenAIStreamedResponse

OpenAIModel = OpenAIChatModel
OpenAIModelSettings = OpenAIChatModelSettings
OpenAIModelName: TypeAlias = str | LatestOpenAIModelNames

__all__ = (
    "OpenAIChatModel",
    "OpenAIChatModelSettings",
    "OpenAIModel",
    "OpenAIModelName",
    "OpenAIModelSettings",
    "OpenAIResponsesModel",
    "OpenAIResponsesModelSettings",
    "OpenAIResponsesStreamedResponse",
    "OpenAIStreamedResponse",
)
