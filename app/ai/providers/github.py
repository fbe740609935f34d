"""GitHub Models."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("GitHubProvider",)


class GitHubProvider(NamedProvider):
    """GitHub Models; see `SERVICES` for its address and its variables."""

    service = "github"
