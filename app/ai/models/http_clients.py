"""HTTP clients that programs make, or share, to give them to providers."""

from __future__ import annotations

import httpx

from app.ai.providers.clients import USER_AGENT

_clients: dict[tuple[str | None, float, float], httpx.AsyncClient] = {}


def create(timeout: float, connect: float) -> httpx.AsyncClient:
    """A new client."""
    return httpx.AsyncClient(timeout=httpx.Timeout(timeout, connect=connect), headers={"User-Agent": USER_AGENT})


def shared(provider: str | None, timeout: float, connect: float) -> httpx.AsyncClient:
    """The one client for this provider and these times; a new one once somebody has closed it."""
    key = (provider, timeout, connect)
    client = _clients.get(key)
    if client is None or client.is_closed:
        client = _clients[key] = create(timeout, connect)
    return client
