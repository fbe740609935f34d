"""Hugging Face's router to many inference providers."""

from __future__ import annotations

import httpx

from app.ai.providers.compatible import NamedProvider

__all__ = ("HuggingFaceProvider",)


class HuggingFaceProvider(NamedProvider):
    """Hugging Face. `provider_name` is the one that it shall ask; without it, it chooses."""

    service = "huggingface"

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        provider_name: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        if provider_name and not base_url:
            base_url = f"https://router.huggingface.co/{provider_name}/v1"
        super().__init__(base_url=base_url, api_key=api_key, http_client=http_client)
