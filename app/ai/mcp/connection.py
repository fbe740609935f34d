"""One live connection to an MCP server, opened and closed by a task of its own.

    opening ──▶ open ──▶ ending ──▶ ended        ending: closed by us, retired, or the other end is gone
       └──────────────────────────▶ ended        it did not start

The SDK's client must be entered and left in one task, while the calls come from whichever run needs one.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from app.ai.mcp.errors import MCPServerUnavailable
from app.ai.mcp.exchange import Exchange, Means, exchange_of_request, roots_result
from app.ai.mcp.listings import Listings
from app.ai.mcp.logs import WANTED_LEVEL, log_message

if TYPE_CHECKING:
    from mcp import Client
    from mcp.client._transport import ReadStream
    from mcp.client.session import ClientRequestContext, IncomingMessage, LoggingFnT
    from mcp.shared.message import SessionMessage
    from mcp_types import (
        CreateMessageRequestParams,
        CreateMessageResult,
        ElicitRequestParams,
        ElicitResult,
        ErrorData,
        Implementation,
        ListRootsResult,
        LoggingLevel,
        LoggingMessageNotificationParams,
    )

logger = logging.getLogger(__name__)


class Transport(ABC):
    """The way to a server, entered once. `gone` is set when the other end has closed it."""

    served: Any = None
    """A server of the SDK in this process, to which no way is needed."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    @abstractmethod
    async def __aenter__(self) -> tuple[Any, Any]: ...

    @abstractmethod
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None: ...

    def last_words(self) -> str:
        """The end of what the server wrote to stderr, once it has ended."""
        return ""


class Watched:
    """A read stream that tells when it has ended, so that a dead server is noticed before the next call."""

    def __init__(self, stream: ReadStream[SessionMessage | Exception], gone: asyncio.Event):
        self._stream = stream
        self._gone = gone

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        return await self._stream.__aexit__(exc_type, exc_val, exc_tb)

    def __aiter__(self) -> ReadStream[SessionMessage | Exception]:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self._stream.__anext__()
        except BaseException:
            self._gone.set()
            raise

    async def receive(self) -> SessionMessage | Exception:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass(frozen=True)
class Manners:
    """How we present ourselves to a server, and what becomes of its log messages."""

    client_info: Implementation | None = None
    log_level: LoggingLevel | None = None
    log_handler: LoggingFnT | None = None


class Connection:
    """A connection that starts to open when it is made."""

    def __init__(
        self,
        server: str,
        transport: Transport,
        *,
        start_timeout: float,
        read_timeout: float,
        means: Means | None = None,
        manners: Manners | None = None,
    ):
        self._server = server
        self._manners = manners or Manners()
        self._means = means or Means()
        self._exchanges: list[Exchange] = []
        self.listings = Listings()
        self._transport = transport
        self._start_timeout = start_timeout
        self._read_timeout = read_timeout
        self._calls = 0
        self._retired = False
        self._ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        # Many runs share the connection, so its task must not inherit the context of the one that came first.
        self._owner = asyncio.create_task(self._own(), name=f"mcp {server}", context=Context())

    @property
    def usable(self) -> bool:
        """Whether new calls may use it."""
        return not (self._retired or self._transport.gone.is_set() or self._owner.done())

    @property
    def ended(self) -> bool:
        """Whether nothing of it is left."""
        return self._owner.done()

    @property
    def opened(self) -> Client | None:
        """The client, once the connection is open."""
        if not self.usable or not self._ready.done() or self._ready.exception() is not None:
            return None
        return self._ready.result()

    @property
    def offers(self) -> frozenset[str]:
        """What the server was told that it may ask for."""
        return self._means.offers

    @asynccontextmanager
    async def client(self, exchange: Exchange | None = None) -> AsyncGenerator[Client]:
        """The open client, for one request; for a call with the `exchange` that answers what the server asks.

        Raises:
            MCPServerUnavailable: the server did not start.
        """
        exchanges = [exchange] if exchange is not None else []
        self._calls += 1
        self._exchanges += exchanges
        try:
            yield await asyncio.shield(self._ready)
        finally:
            self._calls -= 1
            for ended in exchanges:
                self._exchanges.remove(ended)
            self._end_if_unused()

    def retire(self) -> None:
        """Take no new calls, and end when those under way have ended."""
        self._retired = True
        self._end_if_unused()

    def close(self) -> None:
        """End now, with the calls under way."""
        if not self._ready.done():
            self._owner.cancel()
        self._transport.gone.set()

    async def wait_ended(self) -> None:
        """Wait until the server's process or HTTP session is gone."""
        await asyncio.wait([self._owner])

    def _end_if_unused(self) -> None:
        if self._retired and self._calls == 0:
            self._transport.gone.set()

    async def _own(self) -> None:
        end = "closed while it was starting"
        try:
            await self._hold_open()
        except TimeoutError:
            end = f"no answer within {self._start_timeout:g} s"
        except Exception as err:
            end = _reason(err)
            logger.debug("The connection to the MCP server %s failed: %s", self._server, end)
        finally:
            if not self._ready.done():
                self._ready.set_exception(self._start_failure(end))
                self._ready.exception()  # marks it as seen: whoever waited for it may have been cancelled

    async def _hold_open(self) -> None:
        from mcp import Client

        offers = self.offers
        client = Client(
            self._transport.served or self._transport,
            read_timeout_seconds=self._read_timeout,
            logging_callback=self._manners.log_handler or self._log,
            log_level=self._manners.log_level or WANTED_LEVEL,
            client_info=self._manners.client_info,
            elicitation_callback=self._elicit if "elicitation" in offers else None,
            sampling_callback=self._sample if "sampling" in offers else None,
            list_roots_callback=self._list_roots if "roots" in offers else None,
            message_handler=self._notice,
        )
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self._start_timeout):
                await stack.enter_async_context(client)
            following = asyncio.create_task(self._follow_changes(client))
            stack.push_async_callback(_cancelled, following)
            self._ready.set_result(client)
            await self._transport.gone.wait()

    async def _follow_changes(self, client: Client) -> None:
        """Servers of protocol 2026-07-28 tell of changes only to those who listen for them."""
        from mcp.client.subscriptions import SubscriptionLost
        from mcp.shared.exceptions import MCPError
        from mcp_types.version import MODERN_PROTOCOL_VERSIONS

        tools = client.server_capabilities.tools
        if client.protocol_version not in MODERN_PROTOCOL_VERSIONS or tools is None or not tools.list_changed:
            return
        try:
            async with client.listen(tools_list_changed=True, resources_list_changed=True) as events:
                async for _ in events:
                    pass  # the notification itself has come to `_notice`
        except (MCPError, SubscriptionLost, TimeoutError) as err:
            logger.debug("The MCP server %s tells of no changes: %s", self._server, err)

    async def _notice(self, message: IncomingMessage) -> None:
        method = getattr(message, "method", None)
        if isinstance(method, str):
            self.listings.notice(method)

    async def _log(self, params: LoggingMessageNotificationParams) -> None:
        log_message(self._server, params)

    async def _elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        from mcp_types import ElicitResult

        exchange = exchange_of_request(self._exchanges)
        if exchange is not None:
            return await exchange.elicit(context, params)
        if self._means.elicitation is not None:
            return await self._means.elicitation(context, params)
        logger.warning("A question of the MCP server %s was dismissed: it belongs to no single call.", self._server)
        return ElicitResult(action="cancel")

    async def _sample(
        self, context: ClientRequestContext, params: CreateMessageRequestParams
    ) -> CreateMessageResult | ErrorData:
        from mcp_types import INVALID_REQUEST, ErrorData

        exchange = exchange_of_request(self._exchanges)
        if exchange is None:
            return ErrorData(code=INVALID_REQUEST, message="Sampling is for servers that answer a tool call.")
        return await exchange.sample(params)

    async def _list_roots(self, context: ClientRequestContext) -> ListRootsResult:
        return roots_result(self._means.roots or ())

    def _start_failure(self, reason: str) -> MCPServerUnavailable:
        words = self._transport.last_words()
        said = f". Its last words on stderr:\n{words}" if words else ""
        return MCPServerUnavailable(f"The MCP server {self._server} did not start: {reason}{said}")


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def _reason(err: BaseException) -> str:
    # The SDK's task groups wrap what really happened.
    while isinstance(err, BaseExceptionGroup):
        err = cast("BaseExceptionGroup[BaseException]", err).exceptions[0]
    return str(err) or type(err).__name__
