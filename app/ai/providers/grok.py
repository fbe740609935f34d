"""xAI under its older name."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("GrokProvider",)


class GrokProvider(NamedProvider):
    """xAI under its older name; see `SERVICES` for its address and its variables."""

    service = "grok"
