"""DeepSeek."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("DeepSeekProvider",)


class DeepSeekProvider(NamedProvider):
    """DeepSeek; see `SERVICES` for its address and its variables."""

    service = "deepseek"
