"""OpenRouter."""

from __future__ import annotations

import os

import httpx

from app.ai.providers.compatible import NamedProvider

__all__ = ("OpenRouterProvider",)


class OpenRouterProvider(NamedProvider):
    """OpenRouter. It shows requests under the application's address and title, if they are given.

    Those come from OPENROUTER_APP_URL and OPENROUTER_APP_TITLE otherwise.
    """

    service = "openrouter"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        app_url: str | None = None,
        app_title: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        super().__init__(base_url=base_url, api_key=api_key, http_client=http_client)
        named = {
            "HTTP-Referer": app_url or os.environ.get("OPENROUTER_APP_URL"),
            "X-Title": app_title or os.environ.get("OPENROUTER_APP_TITLE"),
        }
        self._app_headers = {name: value for name, value in named.items() if value}

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, **self._app_headers}
