"""Ollama, on this machine or elsewhere."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("OllamaProvider",)


class OllamaProvider(NamedProvider):
    """Ollama, on this machine or elsewhere; see `SERVICES` for its address and its variables."""

    service = "ollama"
