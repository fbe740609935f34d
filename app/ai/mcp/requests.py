"""Requests to servers, as the SDK sends them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from app.ai.exceptions import ModelRetry
from app.ai.mcp.content import resource_content
from app.ai.mcp.resources import Resource, ResourceTemplate
from app.ai.messages import BinaryContent

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, InputRequiredResult, InputResponses, Tool

_MAX_PAGES = 100


class _Page(Protocol):
    next_cursor: str | None


PageT = TypeVar("PageT", bound=_Page)


@dataclass(frozen=True)
class ToolRequest:
    """A tool call, sent once or, with what the server wanted to know, several times."""

    tool: str
    args: dict[str, Any]
    meta: dict[str, Any] = field(default_factory=dict[str, Any])
    progress: ProgressFnT | None = None

    async def __call__(
        self, client: Client, responses: InputResponses | None, state: str | None, /
    ) -> CallToolResult | InputRequiredResult:
        from mcp.shared.exceptions import MCPError
        from mcp_types import HEADER_MISMATCH

        try:
            return await self._send(client, responses, state)
        except MCPError as err:
            if err.code != HEADER_MISMATCH:
                raise
        # The server wants arguments in headers, and which ones is known from the listing alone: it refused the call.
        await list_tools(client)
        return await self._send(client, responses, state)

    async def _send(
        self, client: Client, responses: InputResponses | None, state: str | None
    ) -> CallToolResult | InputRequiredResult:
        from mcp_types import RequestParamsMeta

        try:
            return await client.session.call_tool(
                self.tool,
                self.args,
                progress_callback=self.progress,
                input_responses=responses,
                request_state=state,
                meta=RequestParamsMeta(**self.meta),
                allow_input_required=True,
            )
        except (RuntimeError, ValueError) as err:
            # The SDK checks the answer against the protocol and the tool's output schema.
            raise ModelRetry(f"The tool {self.tool!r} ran, but its result is not valid: {err}") from err


async def list_tools(client: Client, *, fresh: bool = True) -> list[Tool]:
    """All pages of the server's listing; if not `fresh`, the SDK may have kept it for as long as the server allowed."""
    mode = "refresh" if fresh else "use"
    return [tool async for page in _pages(partial(client.list_tools, cache_mode=mode)) for tool in page.tools]


async def list_resources(client: Client) -> list[Resource]:
    """All pages of the server's resources; none if it has no such thing."""
    if client.server_capabilities.resources is None:
        return []
    pages = _pages(partial(client.list_resources, cache_mode="refresh"))
    return [Resource.of(resource) async for page in pages for resource in page.resources]


async def list_resource_templates(client: Client) -> list[ResourceTemplate]:
    """All pages of the server's resource templates; none if it has no such thing."""
    if client.server_capabilities.resources is None:
        return []
    pages = _pages(partial(client.list_resource_templates, cache_mode="refresh"))
    return [ResourceTemplate.of(template) async for page in pages for template in page.resource_templates]


async def read_resource(client: Client, uri: str) -> list[str | BinaryContent]:
    """What the resource holds."""
    result = await client.read_resource(uri)
    return [resource_content(content) for content in result.contents]


async def _pages(ask: Callable[..., Awaitable[PageT]]) -> AsyncGenerator[PageT]:
    page = await ask()
    yield page
    for _ in range(_MAX_PAGES):
        if page.next_cursor is None:
            break
        page = await ask(cursor=page.next_cursor)
        yield page
