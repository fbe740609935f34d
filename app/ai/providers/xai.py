"""xAI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("XaiProvider",)


class XaiProvider(NamedProvider):
    """xAI; see `SERVICES` for its address and its variables."""

    service = "xai"
