"""HTTP clients that live and die with their event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from weakref import WeakKeyDictionary

import httpx

TIMEOUT = httpx.Timeout(connect=10, write=30, pool=10, read=120)
"""Seconds; `read` is the longest silence, not the whole answer."""

LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=30)
"""How many runs ask at once is the worker's decision; the pool only guards against a leak."""


USER_AGENT = f"holdfast/{version('holdfast')}"


class ClientPerLoop:
    """Makes one client per event loop, when it is first asked for there.

    A client's connections belong to the loop they were opened on, while a model object may outlive many loops.
    """

    def __init__(self, make_client: Callable[[], httpx.AsyncClient]):
        self._make_client = make_client
        self._spare: httpx.AsyncClient | None = None
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
        self._users: WeakKeyDictionary[asyncio.AbstractEventLoop, int] = WeakKeyDictionary()

    def current(self) -> httpx.AsyncClient:
        """The client of the running loop; outside of one, that of the first loop that asks."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._spare = self._spare or self._make_client()
            return self._spare
        client = self._clients.get(loop)
        if client is None or client.is_closed:
            client = self._clients[loop] = self._spare or self._make_client()
            self._spare = None
        return client

    def enter(self) -> None:
        """Count one more user on the running loop."""
        loop = asyncio.get_running_loop()
        self._users[loop] = self._users.get(loop, 0) + 1

    async def exit(self) -> None:
        """Count one user less; the last one closes the loop's client."""
        loop = asyncio.get_running_loop()
        users = self._users[loop] = max(self._users.get(loop, 0) - 1, 0)
        if users == 0 and (client := self._clients.pop(loop, None)):
            await client.aclose()
