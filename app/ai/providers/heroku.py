"""Heroku Inference."""

from __future__ import annotations

from app.ai.providers.compatible import NamedProvider

__all__ = ("HerokuProvider",)


class HerokuProvider(NamedProvider):
    """Heroku Inference; see `SERVICES` for its address and its variables."""

    service = "heroku"
