"""OpenAI, and every server that speaks its API."""

from __future__ import annotations

import os

import httpx

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile
from app.ai.profiles.openai import OpenAIModelProfile, openai_model_profile
from app.ai.providers.http import HTTPProvider

__all__ = ("OpenAIProvider",)

_OPENAI_URL = "https://api.openai.com/v1"


class OpenAIProvider(HTTPProvider):
    """OpenAI, or a server with the same API at `base_url`.

    What is not given comes from OPENAI_BASE_URL and OPENAI_API_KEY; only a base URL of one's own needs no key. A given
    `http_client` is used on whatever loop and never closed.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        own_url = base_url or os.environ.get("OPENAI_BASE_URL")
        api_key = api_key or os.environ.get("OPENAI_API_KEY")
        if not api_key and not own_url:
            raise UserError("OpenAI needs an API key: set OPENAI_API_KEY or give OpenAIProvider(api_key=...).")
        super().__init__("openai", base_url=own_url or _OPENAI_URL, api_key=api_key, http_client=http_client)

    @property
    def base_url(self) -> str:
        """Where the API is, with the slash at its end that OpenAI's own client gives it."""
        url = httpx.URL(super().base_url)
        return str(url.copy_with(path=url.path.rstrip("/") + "/"))

    @classmethod
    def model_profile(cls, model_name: str) -> ModelProfile:
        return openai_model_profile(model_name)

    def served_profile(self, model_name: str) -> ModelProfile:
        profile = self.model_profile(model_name)
        if httpx.URL(self.base_url).host == "api.openai.com":
            return profile
        # Other servers know the older name of the limit; the newer one is not always understood.
        return profile.update(OpenAIModelProfile(openai_max_tokens_field="max_tokens"))
