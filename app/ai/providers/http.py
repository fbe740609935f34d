"""A provider that is reached over HTTP with an API key."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from app.ai.providers import Provider
from app.ai.providers.clients import LIMITS, TIMEOUT, ClientPerLoop

__all__ = ("HTTPProvider",)


class HTTPProvider(Provider[httpx.AsyncClient]):
    """A provider that is reached over HTTP with an API key in a header.

    The key is sent as a bearer token, or as it is in `key_header`. A given `http_client` is used on whatever loop and
    never closed.
    """

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        api_key: str | None,
        key_header: str | None = None,
        http_client: httpx.AsyncClient | None = None,
    ):
        self._name = name
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._key_header = key_header
        self._given_client = http_client
        self._clients = ClientPerLoop(lambda: httpx.AsyncClient(timeout=TIMEOUT, limits=LIMITS))

    @property
    def name(self) -> str:
        return self._name

    @property
    def base_url(self) -> str:
        return self._base_url

    @property
    def client(self) -> httpx.AsyncClient:
        return self._given_client or self._clients.current()

    @property
    def headers(self) -> dict[str, str]:
        if not self._api_key:
            return {}
        return {self._key_header: self._api_key} if self._key_header else {"Authorization": f"Bearer {self._api_key}"}

    def redact(self, text: str) -> str:
        return text.replace(self._api_key, "***") if self._api_key else text

    async def __aenter__(self) -> Self:
        self._clients.enter()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._clients.exit()
