"""Mistral AI."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("MistralProvider",)


class MistralProvider(NamedProvider):
    """Mistral AI; see `SERVICES` for its address and its variables."""

    service = "mistral"
