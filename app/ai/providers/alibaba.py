"""Alibaba Cloud Model Studio."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("AlibabaProvider",)


class AlibabaProvider(NamedProvider):
    """Alibaba Cloud Model Studio; see `SERVICES` for its address and its variables."""

    service = "alibaba"
