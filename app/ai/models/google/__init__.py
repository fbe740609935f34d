"""Google's Gemini API, also on Vertex AI."""

from __future__ import annotations

from app.ai.models.google.body import GoogleModelSettings
from app.ai.models.google.gemini import GoogleModel

__all__ = "GoogleModel", "GoogleModelSettings"
