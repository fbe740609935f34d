"""A toolset whose tools live in an MCP server."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from pydantic_core import SchemaValidator, core_schema
from typing_extensions import Unpack

from app.ai.exceptions import ApprovalRequired, ModelRetry
from app.ai.mcp.codes import CONNECTION_CLOSED, REFUSED, REQUEST_TIMEOUT, SESSION_LOST
from app.ai.mcp.connection import Connection, Manners, Transport
from app.ai.mcp.content import ToolResult, links_of, text_of, tool_result
from app.ai.mcp.errors import MCPCallLost, MCPServerUnavailable
from app.ai.mcp.exchange import Exchange, Means, current_host
from app.ai.mcp.options import ServerOptions
from app.ai.mcp.policy import Policy, PolicyOptions
from app.ai.mcp.progress import progress_callback
from app.ai.mcp.questions import CallState, state_in
from app.ai.mcp.requests import ToolRequest, list_resource_templates, list_resources, list_tools, read_resource
from app.ai.mcp.resources import MCPError, Resource, ResourceTemplate
from app.ai.mcp.sampling import Sampled, Sampling
from app.ai.mcp.server_capabilities import ServerCapabilities
from app.ai.messages import BinaryContent, InstructionPart
from app.ai.run_context import RunContext
from app.ai.tools import ToolDefinition
from app.ai.toolsets.abstract import AbstractToolset, ToolsetInstructions, ToolsetTool

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.exceptions import MCPError as SDKError
    from mcp_types import (
        CallToolResult,
        CreateMessageRequestParams,
        Implementation,
        LoggingLevel,
        Tool,
    )

    from app.ai.messages import ModelResponse

T = TypeVar("T")

_on_demand: ContextVar[bool] = ContextVar("_on_demand", default=False)

_BROKEN = frozenset({CONNECTION_CLOSED, SESSION_LOST})
# The server checks the arguments against its own schema.
_ANY_OBJECT = SchemaValidator(core_schema.dict_schema(core_schema.str_schema(), core_schema.any_schema()))


@contextmanager
def opened_on_demand() -> Generator[None]:
    """Let servers that are entered inside the block open with their first request.

    A durable run that only replays never contacts its servers, and a worker starts without them.
    """
    token = _on_demand.set(True)
    try:
        yield
    finally:
        _on_demand.reset(token)


@dataclass
class _Use:
    """How one event loop uses the server: so many times entered, over the newest of these connections."""

    entered: int = 0
    connections: list[Connection] = field(default_factory=list[Connection])

    def usable(self) -> Connection | None:
        """The connection for the next request, if there is one."""
        return self.connections[-1] if self.connections and self.connections[-1].usable else None


class MCPServer(AbstractToolset[Any]):
    """The tools of one MCP server.

    `async with server` opens a connection and keeps it between calls; a broken one is replaced before the next
    request. Inside `opened_on_demand` it opens with the first request, not before.
    """

    def __init__(self, **options: Unpack[ServerOptions]):
        if unknown := options.keys() - ServerOptions.__annotations__.keys():
            raise TypeError(f"{type(self).__name__} has no option {', '.join(sorted(unknown))}")
        self._id = options.get("id")
        self.tool_prefix = options.get("tool_prefix")
        self.timeout = options.get("timeout", 10.0)
        self.read_timeout = options.get("read_timeout", 300.0)
        self.process_tool_call = options.get("process_tool_call")
        self.max_retries = options.get("max_retries", 1)
        self.include_instructions = options.get("include_instructions", False)
        self.elicitation_callback = options.get("elicitation_callback")
        self.allow_sampling = options.get("allow_sampling", True)
        self.sampling_model = options.get("sampling_model")
        self.cache_tools = options.get("cache_tools", True)
        self.cache_resources = options.get("cache_resources", True)
        self.cache_seconds = options.get("cache_seconds", 60.0)
        self.log_level: LoggingLevel | None = options.get("log_level")
        self.log_handler = options.get("log_handler")
        self.client_info = options.get("client_info")
        self.max_samplings = options.get("max_samplings", 5)
        self.max_sampling_tokens = options.get("max_sampling_tokens", 4096)
        roots = options.get("roots")
        self.roots = None if roots is None else [str(root) for root in roots]
        self.policy = Policy.of(**cast("PolicyOptions", options))
        self._uses: dict[asyncio.AbstractEventLoop, _Use] = {}

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and _settings(self) == _settings(other)

    def __hash__(self) -> int:
        return hash((type(self), self.id, self.target))

    @property
    @abstractmethod
    def target(self) -> str:
        """What this connects to, without secrets."""

    @abstractmethod
    def transport(self) -> Transport:
        """A new way to the server."""

    @property
    def id(self) -> str | None:
        return self._id

    @property
    def is_running(self) -> bool:
        """Whether a connection to the server is open in the running event loop."""
        use = self._uses.get(asyncio.get_running_loop())
        return use is not None and use.usable() is not None

    @property
    def instructions(self) -> str | None:
        """What the server says about the use of its tools. AttributeError unless a connection is open."""
        return self._opened("instructions").instructions

    @property
    def server_info(self) -> Implementation | None:
        """The server's name and version, if it tells them. AttributeError unless a connection is open."""
        return self._opened("server_info").server_info

    @property
    def capabilities(self) -> ServerCapabilities:
        """What the server can do. AttributeError unless a connection is open."""
        return ServerCapabilities.of(self._opened("capabilities").server_capabilities)

    def _opened(self, wanted: str) -> Client:
        use = self._uses.get(asyncio.get_running_loop())
        connection = use.usable() if use else None
        client = connection.opened if connection else None
        if client is None:
            raise AttributeError(
                f"{type(self).__name__}.{wanted} is known while a connection is open: use it in `async with server`"
            )
        return client

    async def __aenter__(self) -> Self:
        self._enter()
        if not _on_demand.get():
            try:
                async with self._connection().client():
                    pass
            except BaseException:
                await self._leave()
                raise
        return self

    async def __aexit__(self, *args: Any) -> bool | None:
        await self._leave()
        return None

    @asynccontextmanager
    async def _in_use(self) -> AsyncGenerator[None]:
        self._enter()
        try:
            yield
        finally:
            await self._leave()

    def _enter(self) -> None:
        self._uses.setdefault(asyncio.get_running_loop(), _Use()).entered += 1

    async def _leave(self) -> None:
        loop = asyncio.get_running_loop()
        use = self._uses[loop]
        use.entered -= 1
        if use.entered == 0:
            del self._uses[loop]
            for connection in use.connections:
                connection.close()
            for connection in use.connections:
                await connection.wait_ended()

    async def list_tools(self) -> list[Tool]:
        """The server's tools, under its own names.

        Raises:
            MCPServerUnavailable: it could not be reached or gave no list.
        """
        from mcp.shared.exceptions import MCPError as SDKError

        try:
            return await self._listing("tools", list_tools, keep=self.cache_tools)
        except SDKError as err:
            raise MCPServerUnavailable(f"The MCP server {self._name} did not list its tools: {err}") from err

    @property
    def tool_changes(self) -> int:
        """How often the server has said, over the open connection, that its tools changed."""
        use = self._uses.get(asyncio.get_running_loop())
        connection = use.usable() if use else None
        return 0 if connection is None else connection.listings.changes["tools"]

    async def list_resources(self) -> list[Resource]:
        """What the server lets its clients read.

        Raises:
            MCPError: the server answered with an error.
            MCPServerUnavailable: it could not be reached.
        """
        return await self._ask(list_resources, kind="resources")

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """The kinds of addresses that the server lets its clients read. Raises as `list_resources` does."""
        return await self._ask(list_resource_templates, kind="resource templates")

    async def read_resource(self, uri: str | Resource) -> str | BinaryContent | list[str | BinaryContent]:
        """What a resource holds; a list if it has several parts. Raises as `list_resources` does."""
        address = uri if isinstance(uri, str) else uri.uri
        parts = await self._ask(lambda client: read_resource(client, address))
        return parts[0] if len(parts) == 1 else parts

    async def _ask(self, ask: Callable[[Client], Awaitable[T]], *, kind: str | None = None) -> T:
        from mcp.shared.exceptions import MCPError as SDKError

        try:
            if kind is None:
                return await self._request(ask, repeat_on=_BROKEN)
            return await self._listing(kind, ask, keep=self.cache_resources)
        except SDKError as err:
            if err.code in (REFUSED, SESSION_LOST):
                raise MCPServerUnavailable(f"The MCP server {self._name} could not be reached: {err}") from err
            raise MCPError.of(err) from err

    async def _listing(self, kind: str, ask: Callable[[Client], Awaitable[T]], *, keep: bool) -> T:
        async with self._in_use():
            connection = self._connection()
            if keep and (kept := connection.listings.get(kind)) is not None:
                return kept
            asked_at = connection.listings.changes[kind]
            listing = await self._request(ask, repeat_on=_BROKEN)
            connection.listings.keep(kind, listing, seconds=self.cache_seconds, asked_at=asked_at)
            return listing

    async def direct_call_tool(
        self, name: str, args: dict[str, Any], metadata: dict[str, Any] | None = None, /
    ) -> ToolResult:
        """Call a tool by the server's own name for it. `metadata` travels in the request's `_meta`.

        Raises:
            ModelRetry: the tool failed, or the server refused the call.
            MCPServerUnavailable: the call was not sent.
            MCPCallLost: the call was sent and got no answer.
        """
        return await self._call(name, args, metadata, self._exchange(name, _unnoted))

    async def _call(
        self, name: str, args: dict[str, Any], metadata: dict[str, Any] | None, exchange: Exchange
    ) -> ToolResult:
        from mcp.shared.exceptions import MCPError as SDKError

        send = ToolRequest(name, args, metadata or {}, progress_callback())

        async def ask(client: Client) -> CallToolResult:
            return await exchange.run(client, send)

        try:
            result = await self._request(ask, repeat_on=frozenset({SESSION_LOST}), exchange=exchange)
        except SDKError as err:
            failure = self._call_failure(name, err)
            if isinstance(failure, ModelRetry):
                exchange.defer_if_asked(failure.message)
            raise failure from err
        said = text_of(result)
        exchange.defer_if_asked(said)
        if result.is_error:
            raise ModelRetry(said or f"The tool {name!r} failed without a message.")
        return tool_result(result, await self._linked(result))

    async def _linked(self, result: CallToolResult) -> dict[str, Any]:
        """What the resources hold that a result links to, by address; without those that the server does not give."""
        found: dict[str, Any] = {}
        for address in links_of(result):
            with suppress(MCPError, MCPServerUnavailable):
                found[address] = await self.read_resource(address)
        return found

    def _exchange(
        self, name: str, sampled: Sampled, state: CallState | None = None, key: str | None = None
    ) -> Exchange:
        patience = self.read_timeout
        return Exchange(name, self._means(), sampled, patience, state=state or CallState(), key=key)

    def _means(self) -> Means:
        roots = None if self.roots is None else tuple(Path(root).resolve().as_uri() for root in self.roots)
        return Means(self.elicitation_callback, self.sampling, roots, may_wait=current_host() is not None)

    @property
    def sampling(self) -> Sampling | None:
        """The model that the server may ask, if it may."""
        if self.sampling_model is None or not self.allow_sampling:
            return None
        return Sampling(self.sampling_model, self.max_samplings, self.max_sampling_tokens)

    async def server_instructions(self) -> str | None:
        """What the server says about the use of its tools.

        Raises:
            MCPServerUnavailable: it could not be reached.
        """

        async def read(client: Client) -> str | None:
            return client.instructions

        return await self._request(read, repeat_on=frozenset())

    async def get_instructions(self, ctx: RunContext[Any]) -> ToolsetInstructions:
        text = await self.server_instructions() if self.include_instructions else None
        return InstructionPart(text) if text else None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        tools = await self.list_tools()
        definitions = [self._definition(tool) for tool in tools if self.policy.offers(tool.name)]
        return {definition.name: self.tool_for_tool_def(definition) for definition in definitions}

    def tool_for_tool_def(self, tool_def: ToolDefinition) -> ToolsetTool[Any]:
        """The tool for a definition that the server gave before, without contacting it."""
        return ToolsetTool(
            toolset=self,
            tool_def=tool_def,
            max_retries=self.max_retries,
            args_validator=_ANY_OBJECT,
            idempotent=self.policy.is_idempotent(self._own_name(tool_def.name), tool_def),
        )

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> ToolResult:
        name = self._own_name(name)
        if not ctx.tool_call_approved and self.policy.needs_approval(name, ctx, tool.tool_def, tool_args):
            raise ApprovalRequired
        key = ctx.idempotency_key
        host = current_host()

        def count(_params: CreateMessageRequestParams, response: ModelResponse) -> None:
            ctx.usage.incr(response.usage)

        async def call(name: str, args: dict[str, Any], metadata: dict[str, Any] | None = None, /) -> ToolResult:
            keyed = {"idempotency_key": key} if key is not None else {}
            sampled = count if host is None else host.sampled
            exchange = self._exchange(name, sampled, state_in(ctx.tool_call_metadata), key)
            return await self._call(name, args, {**keyed, **(metadata or {})}, exchange)

        if self.process_tool_call is None:
            return await call(name, tool_args)
        return await self.process_tool_call(replace(ctx, tool_name=name), call, name, tool_args)

    @property
    def _name(self) -> str:
        return f"{self.id!r} ({self.target})" if self.id else self.target

    async def _request(
        self,
        send: Callable[[Client], Awaitable[T]],
        *,
        repeat_on: frozenset[int],
        exchange: Exchange | None = None,
    ) -> T:
        """Send over the open connection; once more over a new one after the errors in `repeat_on`."""
        from mcp.shared.exceptions import MCPError as SDKError

        async with self._in_use():
            try:
                return await self._send(send, exchange)
            except SDKError as err:
                if err.code not in repeat_on:
                    raise
                return await self._send(send, exchange)

    async def _send(self, send: Callable[[Client], Awaitable[T]], exchange: Exchange | None) -> T:
        from mcp.shared.exceptions import MCPError as SDKError

        connection = self._connection()
        async with connection.client(exchange) as client:
            try:
                return await send(client)
            except SDKError as err:
                if err.code in _BROKEN:
                    connection.retire()
                raise

    def _connection(self) -> Connection:
        use = self._uses[asyncio.get_running_loop()]
        means = self._means()
        if (usable := use.usable()) is not None:
            if means.offers <= usable.offers:
                return usable
            # What a client offers is said once, when the connection opens.
            usable.retire()
        connection = Connection(
            self._name,
            self.transport(),
            start_timeout=self.timeout,
            read_timeout=self.read_timeout,
            means=means,
            manners=Manners(self.client_info, self.log_level, self.log_handler),
        )
        # Retired ones stay listed until they have ended, so that leaving the server waits for them too.
        use.connections = [*(old for old in use.connections if not old.ended), connection]
        return connection

    def _call_failure(self, tool: str, err: SDKError) -> Exception:
        if err.code in (REFUSED, SESSION_LOST):
            return MCPServerUnavailable(f"The MCP server {self._name} could not be reached: {err}")
        if err.code == REQUEST_TIMEOUT:
            return MCPCallLost(tool, "timeout", f"no answer within {self.read_timeout:g} s")
        if err.code == CONNECTION_CLOSED:
            return MCPCallLost(tool, "connection", str(err))
        return ModelRetry(f"The server refused the call of {tool!r}: {err}")

    def _definition(self, tool: Tool) -> ToolDefinition:
        annotations = tool.annotations.model_dump(exclude_none=True) if tool.annotations else None
        return ToolDefinition(
            name=f"{self.tool_prefix}_{tool.name}" if self.tool_prefix else tool.name,
            description=tool.description,
            parameters_json_schema=tool.input_schema,
            return_schema=tool.output_schema,
            metadata={"meta": tool.meta, "annotations": annotations, "output_schema": tool.output_schema},
        )

    def _own_name(self, name: str) -> str:
        return name.removeprefix(f"{self.tool_prefix}_") if self.tool_prefix else name


def _unnoted(_params: CreateMessageRequestParams, _response: ModelResponse) -> None:
    """Nobody counts what a call outside a run costs."""


def _settings(server: object) -> dict[str, Any]:
    return {name: value for name, value in vars(server).items() if name != "_uses"}
