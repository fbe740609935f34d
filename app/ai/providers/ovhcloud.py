"""OVHcloud AI Endpoints."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("OVHcloudProvider",)


class OVHcloudProvider(NamedProvider):
    """OVHcloud AI Endpoints; see `SERVICES` for its address and its variables."""

    service = "ovhcloud"
