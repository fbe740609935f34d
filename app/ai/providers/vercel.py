"""Vercel's AI Gateway."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("VercelProvider",)


class VercelProvider(NamedProvider):
    """Vercel's AI Gateway; see `SERVICES` for its address and its variables."""

    service = "vercel"
