"""Perplexity."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("PerplexityProvider",)


class PerplexityProvider(NamedProvider):
    """Perplexity; see `SERVICES` for its address and its variables."""

    service = "perplexity"
