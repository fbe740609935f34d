"""SambaNova."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("SambaNovaProvider",)


class SambaNovaProvider(NamedProvider):
    """SambaNova; see `SERVICES` for its address and its variables."""

    service = "sambanova"
