"""Together AI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("TogetherProvider",)


class TogetherProvider(NamedProvider):
    """Together AI; see `SERVICES` for its address and its variables."""

    service = "together"
