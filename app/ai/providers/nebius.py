"""Nebius AI Studio."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("NebiusProvider",)


class NebiusProvider(NamedProvider):
    """Nebius AI Studio; see `SERVICES` for its address and its variables."""

    service = "nebius"
