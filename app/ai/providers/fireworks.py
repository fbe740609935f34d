"""Fireworks AI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("FireworksProvider",)


class FireworksProvider(NamedProvider):
    """Fireworks AI; see `SERVICES` for its address and its variables."""

    service = "fireworks"
