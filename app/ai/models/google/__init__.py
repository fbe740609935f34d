"""Google's Gemini API, also on Vertex AI."""

from __future__ import annotations

from typing import TypeAlias

from app.ai.models.google.body import GoogleModelSettings
from app.ai.models.google.gemini import GoogleModel
from app.ai.models.google.streaming import GoogleStreamedResponse
from app.ai.models.known_names import LatestGoogleModelNames

GeminiStreamedResponse = GoogleStreamedResponse
GoogleModelName: TypeAlias = str | LatestGoogleModelNames

__all__ = (
    "GeminiStreamedResponse",
    "GoogleModel",
    "GoogleModelName",
    "GoogleModelSettings",
    "GoogleStreamedResponse",
    "LatestGoogleModelNames",
)
