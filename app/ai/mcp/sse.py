"""MCP servers that still speak the HTTP+SSE transport of protocol 2024-11-05."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack, deprecated

from app.ai.mcp.connection import Transport, Watched
from app.ai.mcp.http import check_one_way, shown_url
from app.ai.mcp.options import ServerOptions
from app.ai.mcp.server import MCPServer

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

_ANSWER_SECONDS = 30.0  # for anything but the event stream, which stays silent for as long as the server likes


class MCPServerSSE(MCPServer):
    """An MCP server at the URL of its event stream. `headers`, `auth` and `http_client` as for streamable HTTP.

    For servers that know nothing newer; `MCPServerStreamableHTTP` tells more failures apart.
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
        return _SSETransport(self.url, self.headers, self.auth, self.http_client)


class MCPServerHTTP(MCPServerSSE):
    """The former name of `MCPServerSSE`."""

    @deprecated("`MCPServerHTTP` is deprecated, use `MCPServerSSE`, or `MCPServerStreamableHTTP` for a server of today")
    def __init__(self, url: str, **options: Any):
        super().__init__(url, **options)


class _SSETransport(Transport):
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
        from mcp.client.sse import sse_client

        async with AsyncExitStack() as stack:
            client = sse_client(self._url, self._headers, httpx_client_factory=self._client, auth=self._auth)
            reading, writing = await stack.enter_async_context(client)
            self._stack = stack.pop_all()
        return Watched(reading, self.gone), writing

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    def _client(
        self,
        headers: dict[str, Any] | None = None,
        timeout: httpx2.Timeout | None = None,
        auth: httpx2.Auth | None = None,
    ) -> Any:
        import httpx2

        if self._http_client is not None:
            # The SDK closes the client that it is given; the user's stays open.
            return nullcontext(self._http_client)
        return httpx2.AsyncClient(
            headers=headers,
            auth=auth,
            timeout=httpx2.Timeout(_ANSWER_SECONDS, read=None),
            event_hooks={"response": [self._check]},
        )

    async def _check(self, response: httpx2.Response) -> None:
        # The SDK only logs it when a message is refused, and would let its request wait for the timeout.
        if response.request.method == "POST" and response.is_error:
            self.gone.set()
