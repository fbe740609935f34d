"""An MCP server on stdio whose tools and listing hang at first, so that a driver can kill it there.

What it does leaves lines in the file of effects; `<that file>.down` makes it fail at start.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from tests.crash.agents import EFFECTS, effect

TOOLS = [
    Tool(name="look", input_schema={"type": "object"}, annotations=ToolAnnotations(idempotent_hint=True)),
    Tool(name="spend", input_schema={"type": "object"}),
    Tool(name="whoami", input_schema={"type": "object"}, annotations=ToolAnnotations(read_only_hint=True)),
]


async def hang_at_first(name: str) -> None:
    """The first time that any process of ours comes here, wait to be killed."""
    seen = f'"{name}"' in Path(os.environ[EFFECTS]).read_text()
    effect(name, None)
    if not seen:
        await asyncio.sleep(600)


async def list_tools(_ctx: Any, _params: PaginatedRequestParams | None) -> ListToolsResult:
    if "listing" in sys.argv:
        await hang_at_first("listing")
    return ListToolsResult(tools=TOOLS)


async def call_tool(_ctx: Any, params: CallToolRequestParams) -> CallToolResult:
    name = params.name
    if name == "whoami":
        effect("whoami", None)
        return CallToolResult(content=[TextContent(text=str(os.getpid()))])
    await hang_at_first(name)
    return CallToolResult(content=[TextContent(text=f"{name} done")])


async def main() -> None:
    if Path(os.environ[EFFECTS] + ".down").exists():
        sys.exit("down for maintenance")
    listing: Callable[..., Awaitable[ListToolsResult]] = list_tools
    server: Server[Any] = Server("fragile", on_list_tools=listing, on_call_tool=call_tool)
    async with stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
