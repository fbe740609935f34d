"""Moonshot AI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("MoonshotAIProvider",)


class MoonshotAIProvider(NamedProvider):
    """Moonshot AI; see `SERVICES` for its address and its variables."""

    service = "moonshotai"
