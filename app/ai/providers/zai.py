"""Z.AI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("ZaiProvider",)


class ZaiProvider(NamedProvider):
    """Z.AI; see `SERVICES` for its address and its variables."""

    service = "zai"
