"""Anthropic."""

from __future__ import annotations

import os

import httpx

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile
from app.ai.profiles.anthropic import anthropic_model_profile
from app.ai.providers.http import HTTPProvider

__all__ = ("AnthropicProvider",)


class AnthropicProvider(HTTPProvider):
    """Anthropic, or a server with the same API at `base_url`.

    What is not given comes from ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY. A given `http_client` is used on whatever
    loop and never closed.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        base_url = base_url or os.environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        api_key = api_key or os.environ.get("ANTHROPIC_API_KEY")
        if not api_key:
            raise UserError("Anthropic needs an API key: set ANTHROPIC_API_KEY or give AnthropicProvider(api_key=...).")
        super().__init__(
            "anthropic", base_url=base_url, api_key=api_key, key_header="x-api-key", http_client=http_client
        )

    @classmethod
    def model_profile(cls, model_name: str) -> ModelProfile:
        return anthropic_model_profile(model_name)
