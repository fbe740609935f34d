"""An MCP server for tests, on stdio: its tools tell of their progress, write log messages, and destroy things."""

# Annotations stay evaluated: the SDK reads the tools' signatures at run time.
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("talkative", log_level="ERROR", instructions="Count before you wipe.")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def count(to: int, ctx: Context[Any, Any]) -> str:
    """Count, and tell how far it has come."""
    for number in range(1, to + 1):
        await ctx.report_progress(number, to, f"at {number}")
    await ctx.session.send_log_message(level="warning", data={"counted": to}, related_request_id=ctx.request_id)
    return f"counted to {to}"


@server.tool(annotations=ToolAnnotations(destructive_hint=True))
def wipe(what: str) -> str:
    """Wipe something."""
    return f"wiped {what}"


if __name__ == "__main__":
    server.run("stdio")
