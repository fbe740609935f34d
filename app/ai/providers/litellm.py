"""A LiteLLM proxy."""

from __future__ import annotations

import httpx

from app.ai.providers.compatible import NamedProvider

__all__ = ("LiteLLMProvider",)


class LiteLLMProvider(NamedProvider):
    """A LiteLLM proxy at `api_base`."""

    service = "litellm"

    def __init__(
        self,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        super().__init__(base_url=api_base, api_key=api_key, http_client=http_client)
