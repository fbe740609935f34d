"""Groq."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("GroqProvider",)


class GroqProvider(NamedProvider):
    """Groq; see `SERVICES` for its address and its variables."""

    service = "groq"
