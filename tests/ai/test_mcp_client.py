"""What an MCP client says of itself and makes of answers: servers of the SDK, here and over event streams."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from mcp.server.mcpserver import Context, MCPServer
from mcp_types import (
    CallToolResult,
    Implementation,
    LoggingMessageNotificationParams,
    ResourceLink,
    TextContent,
)

from app.ai import Agent
from app.ai.mcp import (
    MCPServerHTTP,
    MCPServerSSE,
    MCPServerStdio,
    MCPServerStreamableHTTP,
    MCPToolset,
    ServerCapabilities,
)
from app.ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.test import TestModel
from tests.ai.test_mcp import call, context, free_port
from tests.ai.test_mcp_sse import sse_server

# The newest protocol has no log messages any more; servers still send them.
_MAY_LOG = pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")


def library() -> MCPServer:
    server = MCPServer("library")

    @server.resource("book://one")
    def one() -> str:
        return "Once upon a time"

    @server.tool(structured_output=False)
    def shelf(kind: str) -> str:
        """Answers with text that may be JSON."""
        return {"object": '{"books": ["one"]}', "array": "[1, 2]", "broken": "{not JSON", "number": "7"}[kind]

    @server.tool(structured_output=False)
    def links() -> CallToolResult:
        """Answers with text and links to a book that is there and one that is not."""
        known, unknown = (
            ResourceLink(type="resource_link", uri=f"book://{name}", name=name) for name in ("one", "none")
        )
        return CallToolResult(content=[TextContent(type="text", text="See"), known, unknown])

    @server.tool()
    async def visitor(ctx: Context[Any, Any]) -> str:
        """Says who calls, and logs it."""
        params = ctx.session.client_params
        assert params is not None
        name = params.client_info.name
        await ctx.session.send_log_message(level="info", data=name, related_request_id=ctx.request_id)
        return name

    return server


@pytest.mark.parametrize(
    ("kind", "value"),
    [("object", {"books": ["one"]}), ("array", [1, 2]), ("broken", "{not JSON"), ("number", "7")],
)
async def test_text_that_is_a_json_object_or_array_becomes_that_value(kind: str, value: Any) -> None:
    assert await call(MCPToolset(library()), "shelf", {"kind": kind}) == value


async def test_a_link_becomes_what_it_links_to_if_the_server_gives_it() -> None:
    text, found, missing = await call(MCPToolset(library()), "links", {})
    assert (text, found) == ("See", "Once upon a time")
    assert missing == {"type": "resource_link", "uri": "book://none", "name": "none"}


@_MAY_LOG
async def test_a_server_learns_who_calls_and_its_log_goes_to_the_handler() -> None:
    logged: list[LoggingMessageNotificationParams] = []
    arrived = asyncio.Event()

    async def keep(params: LoggingMessageNotificationParams) -> None:
        logged.append(params)
        arrived.set()

    me = Implementation(name="our-desk", version="7")
    server = MCPToolset(library(), client_info=me, log_level="debug", log_handler=keep)
    async with server:
        assert await call(server, "visitor", {}) == "our-desk"
        await asyncio.wait_for(arrived.wait(), 5)
    assert [(params.level, params.data) for params in logged] == [("info", "our-desk")]
    assert (server.client_info, server.log_level, server.log_handler) == (me, "debug", keep)


@_MAY_LOG
async def test_a_level_above_a_message_keeps_it_away() -> None:
    logged: list[Any] = []

    async def keep(params: LoggingMessageNotificationParams) -> None:
        logged.append(params.data)

    async with MCPToolset(library(), log_level="error", log_handler=keep) as server:
        await call(server, "visitor", {})
        await server.list_resources()
    assert logged == []


async def test_a_server_says_what_it_can_do() -> None:
    async with MCPToolset(library()) as server:
        said = server.capabilities
    assert isinstance(said, ServerCapabilities)
    assert (said.tools, said.resources, said.completions, said.experimental) == (True, True, False, None)


async def test_auth_and_clients_of_ones_own_reach_a_server_of_event_streams() -> None:
    seen: list[str | None] = []

    class Token(httpx2.Auth):
        def auth_flow(self, request: httpx2.Request) -> Any:
            seen.append(request.headers.get("X-Mine"))
            yield request

    port = free_port()
    url = f"http://127.0.0.1:{port}/sse"
    with sse_server(port):
        async with MCPServerSSE(url, auth=Token(), headers={"X-Mine": "header"}) as server:
            assert await server.direct_call_tool("echo", {"text": "a"}) == "a"
        assert set(seen) == {"header"}
        seen.clear()
        async with httpx2.AsyncClient(auth=Token(), headers={"X-Mine": "client"}) as client:
            async with MCPServerSSE(url, http_client=client) as server:
                assert await server.direct_call_tool("echo", {"text": "b"}) == "b"
            assert not client.is_closed
        assert set(seen) == {"client"}
    with pytest.raises(ValueError, match="not used with an `http_client`"):
        MCPServerSSE(url, auth=Token(), http_client=client)


def test_the_former_name_of_an_event_stream_server_warns() -> None:
    with pytest.warns(DeprecationWarning, match="MCPServerSSE"):
        server = MCPServerHTTP("http://127.0.0.1:1/sse", tool_prefix="a")
    assert isinstance(server, MCPServerSSE)
    assert (server.url, server.tool_prefix) == ("http://127.0.0.1:1/sse", "a")


def test_servers_with_the_same_settings_are_equal() -> None:
    one = MCPServerStdio("python", ["-m", "server"], id="a")
    assert one == MCPServerStdio("python", ["-m", "server"], id="a")
    assert hash(one) == hash(MCPServerStdio("python", ["-m", "server"], id="a"))
    assert one != MCPServerStdio("python", ["-m", "server"], id="b")
    assert one != MCPServerStdio("python", ["-m", "other"], id="a")
    assert MCPServerSSE("http://a/sse") != MCPServerStreamableHTTP("http://a/sse")


async def test_the_model_of_the_agent_answers_what_its_servers_ask() -> None:
    server = MCPToolset(library())
    agent = Agent(TestModel(custom_output_text="sampled"), toolsets=[server])
    agent.set_mcp_sampling_model()
    assert server.sampling_model is agent.model
    other = TestModel()
    agent.set_mcp_sampling_model(other)
    assert server.sampling_model is other


async def test_an_agent_sees_a_linked_resource_in_the_tools_return() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        (returned,) = (part for part in messages[-1].parts if isinstance(part, ToolReturnPart))
        return ModelResponse(parts=[TextPart(returned.content[1])])

    async with MCPToolset(library()) as server:
        tools = await server.get_tools(context())
        assert tools["links"].tool_def.metadata == {"meta": None, "annotations": None, "output_schema": None}
        calls = FunctionModel(lambda messages, info: answer(messages, info) if len(messages) > 1 else _call("links"))
        assert (await Agent(calls, toolsets=[server]).run("go")).output == "Once upon a time"


def _call(tool: str) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(tool, {})])
