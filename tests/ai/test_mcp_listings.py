"""What servers list besides answering calls: changes of their tools, resources; and ways to name a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import StdioServerParameters
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import Annotations

from app.ai.exceptions import UserError
from app.ai.mcp import (
    MCPError,
    MCPServerStreamableHTTP,
    MCPServerUnavailable,
    MCPToolset,
    Resource,
    ResourceAnnotations,
    load_mcp_toolsets,
)
from app.ai.messages import BinaryContent
from tests.ai.test_mcp import DEMO_SERVER, call, context, eventually, free_port, wait_for_port

SHELF = Path(__file__).parents[1] / "crash" / "growing_mcp_server.py"


@pytest.fixture(params=["2026-07-28", "2025-11-25"])
async def growing(request: pytest.FixtureRequest) -> AsyncIterator[MCPToolset]:
    """A server that gets one more tool with each call of `grow`."""
    arguments = [str(SHELF), *(["old"] if request.param == "2025-11-25" else [])]
    async with MCPToolset(StdioServerParameters(command=sys.executable, args=arguments), timeout=60) as server:
        yield server


async def test_a_listing_is_kept_until_the_server_says_that_it_changed(growing: MCPToolset) -> None:
    assert list(await growing.get_tools(context())) == ["grow", "listings"]
    await growing.get_tools(context())
    assert await call(growing, "listings", {}) == "1"
    await call(growing, "grow", {})
    await eventually(lambda: growing.tool_changes == 1)
    assert list(await growing.get_tools(context())) == ["grow", "listings", "extra_1"]
    assert await call(growing, "extra_1", {}) == "extra"
    assert await call(growing, "listings", {}) == "2"


async def test_a_listing_is_not_kept_where_that_is_not_wanted_or_for_too_long() -> None:
    each: list[dict[str, Any]] = [{"cache_tools": False}, {"cache_seconds": 0.0}]
    for options in each:
        way: Any = StdioServerParameters(command=sys.executable, args=[str(SHELF), "old"])
        async with MCPToolset(way, timeout=60, **options) as server:
            for _ in range(3):
                await server.list_tools()
            tools = await server.get_tools(context())
            assert await server.call_tool("listings", {}, context(), tools["listings"]) == "4"


def library() -> MCPServer:
    """A server of the SDK in this process."""
    server = MCPServer("library", instructions="Be quiet.")

    @server.resource("book://one", mime_type="text/plain", annotations=Annotations(audience=["user"], priority=0.5))
    def one() -> str:
        """The first book."""
        return "Once upon a time"

    @server.resource("book://cover", mime_type="image/png")
    def cover() -> bytes:
        return b"png"

    @server.resource("book://{name}/page")
    def page(name: str) -> str:
        return f"a page of {name}"

    @server.tool()
    def lend(title: str, ctx: Context[Any, Any]) -> str:
        """Lend a book."""
        return f"lent {title}"

    return server


async def test_resources_of_a_server_in_this_process_are_listed_and_read() -> None:
    async with MCPToolset(library(), id="library") as server:
        resources = {resource.uri: resource for resource in await server.list_resources()}
        assert resources["book://one"] == Resource(
            uri="book://one",
            name="one",
            description="The first book.",
            mime_type="text/plain",
            annotations=ResourceAnnotations(audience=["user"], priority=0.5),
        )
        assert [item.uri_template for item in await server.list_resource_templates()] == ["book://{name}/page"]
        assert await server.read_resource("book://one") == "Once upon a time"
        assert await server.read_resource(resources["book://cover"]) == BinaryContent(b"png", media_type="image/png")
        assert await server.read_resource("book://two/page") == "a page of two"
        with pytest.raises(MCPError) as failure:
            await server.read_resource("book://nowhere")
        assert failure.value.code
        assert await call(server, "lend", {"title": "one"}) == "lent one"


async def test_a_server_tells_what_it_is_while_it_is_connected() -> None:
    server = MCPToolset(library())
    with pytest.raises(AttributeError, match="instructions is known while"):
        _ = server.instructions
    async with server:
        assert server.server_info is not None
        assert (server.server_info.name, server.instructions) == ("library", "Be quiet.")
        assert server.capabilities.resources is not None
    with pytest.raises(AttributeError, match="server_info is known while"):
        _ = server.server_info


async def test_a_server_without_resources_lists_none() -> None:
    async with MCPToolset(DEMO_SERVER) as server:
        assert await server.list_resources() == []
        assert await server.list_resource_templates() == []


async def test_a_server_that_is_not_there_has_no_resources_to_read() -> None:
    with pytest.raises(MCPServerUnavailable):
        await MCPToolset(f"http://127.0.0.1:{free_port()}/mcp").read_resource("book://one")


def test_the_target_tells_the_kind_of_server(tmp_path: Path) -> None:
    assert MCPToolset("https://user:secret@mcp.test/mcp?key=1", headers={"a": "b"}).target == "https://mcp.test/mcp"
    assert MCPToolset("https://mcp.test/sse").target == "https://mcp.test/sse"
    assert MCPToolset("server.js").target == "node server.js"
    wrong: list[tuple[Any, dict[str, Any]]] = [("server", {}), (7, {}), ("a.py", {"headers": {"a": "b"}})]
    for target, options in wrong:
        with pytest.raises(UserError):
            MCPToolset(target, **options)
    misspelt: dict[str, Any] = {"tool_prefx": "a"}
    with pytest.raises(TypeError, match="no option tool_prefx"):
        MCPToolset("a.py", **misspelt)
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"shop": {"url": "https://mcp.test/mcp"}}}')
    assert [server.id for server in load_mcp_toolsets(file)] == ["shop"]


class RenewedToken(httpx2.Auth):
    """A token that is another one for each request."""

    def __init__(self) -> None:
        self.sent = 0

    def auth_flow(self, request: httpx2.Request) -> Any:
        self.sent += 1
        request.headers["Authorization"] = f"Bearer {self.sent}"
        yield request


async def test_auth_is_asked_for_each_request() -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-P", DEMO_SERVER, "--http", str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        auth = RenewedToken()
        async with MCPServerStreamableHTTP(f"http://127.0.0.1:{port}/mcp", auth=auth) as server:
            assert await call(server, "echo", {"text": "hi"}) == "hi"
        assert auth.sent > 1
    finally:
        process.kill()
        process.wait()
