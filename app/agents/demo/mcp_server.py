"""A small MCP server, for the tests and to try things out.

Run as a script: `python mcp_server.py` speaks stdio, `python mcp_server.py --http PORT` streamable HTTP on loopback.
"""

# Annotations stay evaluated: the SDK reads the tools' signatures at run time.
import argparse
import asyncio
import json
import os
import struct
import zlib
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import Audio, Context, Image, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import EmbeddedResource, ResourceLink, TextContent, TextResourceContents, ToolAnnotations
from pydantic import BaseModel

server = MCPServer(
    "holdfast-demo", log_level="WARNING", instructions="Tools for trying out how Holdfast talks to MCP servers."
)


class Sum(BaseModel):
    """What `add` returns."""

    total: float
    terms: list[float]


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def echo(text: str) -> str:
    """Return the text."""
    return text


@server.tool(annotations=ToolAnnotations(idempotent_hint=True, open_world_hint=False))
def add(a: float, b: float) -> Sum:
    """Add two numbers."""
    return Sum(total=a + b, terms=[a, b])


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def slow(seconds: float) -> str:
    """Answer after some seconds."""
    await asyncio.sleep(seconds)
    return f"slept {seconds:g} s"


@server.tool()
def fail(reason: str) -> str:
    """Fail with the given reason."""
    raise ToolError(reason)


@server.tool()
def effect(path: str, note: str, ctx: Context[Any, Any]) -> str:
    """Append one JSON line to a file: the note, and the idempotency key that came with the call."""
    meta = ctx.request_context.meta or {}
    line = {"note": note, "idempotency_key": meta.get("idempotency_key"), "pid": os.getpid()}
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    return "written"


@server.tool(structured_output=False)
def media() -> list[Any]:
    """Return one of each kind of content."""
    return [
        TextContent(text="here you are"),
        Image(data=_png(), format="png"),
        Audio(data=b"RIFF", format="wav"),
        EmbeddedResource(resource=TextResourceContents(uri="note://1", mime_type="text/plain", text="a note")),
        ResourceLink(uri="file:///report.txt", name="report"),
    ]


@server.tool()
def crash(exit_code: int) -> str:
    """End the server's process in the middle of the call."""
    os._exit(exit_code)


def _png() -> bytes:
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def main() -> None:
    parser = argparse.ArgumentParser(description="A small MCP server for tests and demos")
    parser.add_argument("--http", type=int, metavar="PORT", help="serve streamable HTTP on 127.0.0.1:PORT")
    port = parser.parse_args().http
    if port is None:
        server.run("stdio")
    else:
        server.run("streamable-http", host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
