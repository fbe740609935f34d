"""MCP servers that somebody else runs, over streamable HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from typing_extensions import Unpack

from app.ai.mcp.connection import Transport
from app.ai.mcp.options import ServerOptions
from app.ai.mcp.server import MCPServer

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams


class MCPServerStreamableHTTP(MCPServer):
    """An MCP server at a URL. `headers` go with every request; `auth` renews what they need, as OAuth does.

    `http_client` is an `httpx2.AsyncClient` of your own, which you also close; `headers` must then be its own.
    """

    def __init__(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx2.Auth | None = None,
        http_client: httpx2.AsyncClient | None = None,
        **options: Unpack[ServerOptions],
    ):
        super().__init__(**options)
        check_one_way(headers, auth, http_client)
        self.url = url
        self.headers = dict(headers or {})
        self.auth = auth
        self.http_client = http_client

    @property
    def target(self) -> str:
        return shown_url(self.url)

    def transport(self) -> Transport:
        return _HTTPTransport(self.url, self.headers, self.auth, self.http_client)


def check_one_way(headers: object, auth: object, http_client: object) -> None:
    """ValueError where the options contradict each other."""
    if (headers or auth) and http_client is not None:
        raise ValueError("`headers` and `auth` are not used with an `http_client`: give it its own.")


def shown_url(url: str) -> str:
    """The URL without what may be secret: user, password and query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


class _HTTPTransport(Transport):
    def __init__(
        self, url: str, headers: dict[str, str], auth: httpx2.Auth | None, http_client: httpx2.AsyncClient | None
    ):
        super().__init__()
        self._url = url
        self._headers = headers
        self._auth = auth
        self._http_client = http_client
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> TransportStreams:
        from mcp.client.streamable_http import streamable_http_client

        async with AsyncExitStack() as stack:
            client = self._http_client or await stack.enter_async_context(self._new_client())
            streams = await stack.enter_async_context(streamable_http_client(self._url, http_client=client))
            self._stack = stack.pop_all()
        return streams

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    def _new_client(self) -> httpx2.AsyncClient:
        import httpx2

        from app.ai.mcp.refusals import RefusalsClient

        # No read timeout: each request has its own in the session, and a server may hold a stream open for ever.
        timeout = httpx2.Timeout(30.0, read=None)
        return RefusalsClient(headers=self._headers, auth=self._auth, timeout=timeout)
