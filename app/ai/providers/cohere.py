"""Cohere, by its API in the manner of OpenAI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("CohereProvider",)


class CohereProvider(NamedProvider):
    """Cohere, by its API in the manner of OpenAI; see `SERVICES` for its address and its variables."""

    service = "cohere"
