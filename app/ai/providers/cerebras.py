"""Cerebras."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("CerebrasProvider",)


class CerebrasProvider(NamedProvider):
    """Cerebras; see `SERVICES` for its address and its variables."""

    service = "cerebras"
