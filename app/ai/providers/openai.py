"""OpenAI, and every server that speaks its API."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self

import httpx

from app.ai.exceptions import UserError
from app.ai.profiles import ModelProfile
from app.ai.profiles.openai import OpenAIModelProfile, openai_model_profile
from app.ai.providers import Provider
from app.ai.providers.clients import LIMITS, TIMEOUT, ClientPerLoop

__all__ = ("OpenAIProvider",)

_OPENAI_URL = "https://api.openai.com/v1"


class OpenAIProvider(Provider[httpx.AsyncClient]):
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
        self._base_url = (own_url or _OPENAI_URL).rstrip("/")
        self._api_key = api_key or os.environ.get("OPENAI_API_KEY")
        if not self._api_key and not own_url:
            raise UserError("OpenAI needs an API key: set OPENAI_API_KEY or give OpenAIProvider(api_key=...).")
        self._given_client = http_client
        self._clients = ClientPerLoop(lambda: httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS))

    @property
    def name(self) -> str:
        return "openai"

    @property
    def base_url(self) -> str:
        return self._base_url

    @property
    def client(self) -> httpx.AsyncClient:
        return self._given_client or self._clients.current()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}

    def redact(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text

    def model_profile(self, model_name: str) -> ModelProfile:
        if httpx.URL(self._base_url).host == "api.openai.com":
            return openai_model_profile(model_name)
        # Other servers know the older name of the limit; the newer one is not always understood.
        return openai_model_profile(model_name).update(OpenAIModelProfile(openai_max_tokens_field="max_tokens"))

    async def __aenter__(self) -> Self:
        self._clients.enter()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._clients.exit()
