"""An MCP server on stdio whose tool `grow` gives it one more tool. `old` makes it one of protocol 2025-11-25."""

# Annotations stay evaluated: the SDK reads the tools' signatures at run time.
import asyncio
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.stdio import stdio_server

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.crash.curious_mcp_server import without_discovery

server = MCPServer("growing", log_level="ERROR")
counted = {"grown": 0, "listed": 0}


def extra() -> str:
    """One of the tools that came later."""
    return "extra"


@server.tool()
async def grow(ctx: Context[Any, Any]) -> str:
    """Get one more tool."""
    counted["grown"] += 1
    server.add_tool(extra, name=f"extra_{counted['grown']}")
    if "old" in sys.argv:
        await ctx.session.send_tool_list_changed()
    else:
        await ctx.notify_tools_changed()
    return "grown"


@server.tool()
def listings() -> str:
    """How often the tools were listed."""
    return str(counted["listed"])


async def count_listings(ctx: Any, call_next: Any) -> Any:
    counted["listed"] += ctx.method == "tools/list"
    return await call_next(ctx)


async def main() -> None:
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]  # has no other way to its capabilities
    lowlevel.middleware.append(count_listings)
    async with stdio_server() as (reading, writing), anyio.create_task_group() as tasks:
        if "old" in sys.argv:
            sending, receiving = anyio.create_memory_object_stream[Any]()
            tasks.start_soon(without_discovery, reading, writing, sending)
            reading: Any = receiving
        await lowlevel.run(reading, writing, lowlevel.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
