"""MCP servers of the HTTP+SSE era: a real one in a process of its own, and one that refuses messages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import pytest

from app.ai.exceptions import ModelRetry
from app.ai.mcp import MCPCallLost, MCPServerSSE, MCPServerUnavailable, opened_on_demand
from tests.ai.test_mcp import context, eventually, free_port, wait_for_port

SERVE = "from app.agents.demo.mcp_server import server; server.run('sse', host='127.0.0.1', port={port})"


@contextmanager
def sse_server(port: int) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", SERVE.format(port=port)], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield process
    finally:
        process.kill()
        process.wait()


async def test_tools_of_an_event_stream_server_are_listed_and_called_and_its_death_survived() -> None:
    port = free_port()
    with opened_on_demand():
        async with MCPServerSSE(f"http://127.0.0.1:{port}/sse?key=secret", headers={"X-Key": "k"}) as server:
            assert server.target == f"http://127.0.0.1:{port}/sse"
            with sse_server(port) as process:
                assert "add" in await server.get_tools(context())
                assert await server.direct_call_tool("add", {"a": 1, "b": 2}) == {"total": 3.0, "terms": [1.0, 2.0]}
                with pytest.raises(ModelRetry, match="why"):
                    await server.direct_call_tool("fail", {"reason": "why"})
                with pytest.raises(MCPCallLost) as lost:
                    await server.direct_call_tool("crash", {"exit_code": 3})
                assert lost.value.reason == "connection"
                process.wait()
            with pytest.raises(MCPServerUnavailable, match="did not start"):
                await server.direct_call_tool("echo", {"text": "nobody"})
            with sse_server(port) as process:
                assert await server.direct_call_tool("echo", {"text": "again"}) == "again"
                process.kill()
                await eventually(lambda: not server.is_running)
