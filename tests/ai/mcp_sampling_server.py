"""An MCP server for tests, on stdio, of the protocol in which a server asks its client's model while a call is open."""

# Annotations stay evaluated: the SDK reads the tools' signatures at run time.
import asyncio
from typing import Any

import anyio
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.stdio import stdio_server

from app.ai import Agent
from app.ai.models.mcp_sampling import MCPSamplingModel
from tests.crash.curious_mcp_server import without_discovery

server = MCPServer("poet", log_level="ERROR")
poet = Agent(instructions="Rhyme.", model_settings={"max_tokens": 100, "temperature": 0.5})


@server.tool()
async def poem(theme: str, ctx: Context[Any, Any]) -> dict[str, str]:
    """Write a poem."""
    run = await poet.run(f"A poem about {theme}", model=MCPSamplingModel(ctx.session))
    response = run.response
    return {"text": run.output, "finish_reason": f"{response.finish_reason}", "provider": f"{response.provider_name}"}


async def main() -> None:
    lowlevel = server._lowlevel_server  # pyright: ignore[reportPrivateUsage]  # has no other way to its streams
    async with stdio_server() as (reading, writing), anyio.create_task_group() as tasks:
        sending, receiving = anyio.create_memory_object_stream[Any]()
        tasks.start_soon(without_discovery, reading, writing, sending)
        await lowlevel.run(receiving, writing, lowlevel.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
