"""Requests to servers, as the SDK sends them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.ai.exceptions import ModelRetry

if TYPE_CHECKING:
    from mcp import Client
    from mcp.shared.dispatcher import ProgressFnT
    from mcp_types import CallToolResult, InputRequiredResult, InputResponses, Tool

_MAX_PAGES = 100


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
        await list_tools(client, fresh=True)
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


async def list_tools(client: Client, *, fresh: bool = False) -> list[Tool]:
    """All pages of the server's listing."""
    page = await client.list_tools(cache_mode="refresh" if fresh else "use")
    tools = list(page.tools)
    for _ in range(_MAX_PAGES):
        if page.next_cursor is None:
            break
        page = await client.list_tools(cursor=page.next_cursor)
        tools += page.tools
    return tools
