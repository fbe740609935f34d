"""An MCP server whose tools ask back. `old` makes it one of protocol 2025-11-25, which asks while the call is open.

`python -m tests.crash.curious_mcp_server [old] [wordy] [--http PORT]`; what they do is in the file of effects.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import anyio
import uvicorn
from mcp.server.lowlevel.server import Server
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import (
    METHOD_NOT_FOUND,
    CallToolRequestParams,
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitRequestURLParams,
    ErrorData,
    InputRequiredResult,
    JSONRPCError,
    ListRootsRequest,
    ListToolsResult,
    PaginatedRequestParams,
    SamplingMessage,
    TextContent,
    Tool,
    ToolAnnotations,
)
from starlette.responses import Response

from tests.crash.agents import effect

SEAT = {
    "type": "object",
    "properties": {"seat": {"type": "string", "minLength": 2}, "meal": {"type": "boolean"}},
    "required": ["seat"],
}
ANY = {"type": "object"}
REPEATABLE = ToolAnnotations(idempotent_hint=True)
NAMES = ("book", "buy", "sign", "twice", "think", "think_and_ask", "where", "later")
TOOLS = [Tool(name=name, input_schema=ANY, annotations=None if name == "buy" else REPEATABLE) for name in NAMES]


def form(message: str) -> ElicitRequest:
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=SEAT))


def thought(text: str, tokens: int = 100) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=tokens))


ASKS: dict[str, list[dict[str, Any]]] = {
    "book": [{"seat": form("Which seat?")}],
    "buy": [{"seat": form("Which seat?")}],
    "sign": [{"page": ElicitRequest(params=ElicitRequestURLParams(message="Sign here.", url="https://sign.test/1"))}],
    "twice": [{"first": form("Which seat there?")}, {"second": form("Which seat back?")}],
    "think": [{"a": thought("one")}, {"b": thought("two")}],
    "think_and_ask": [{"thought": thought("which?"), "seat": form("Which seat?"), "roots": ListRootsRequest()}],
    "where": [{"roots": ListRootsRequest()}],
    "later": [{}, {}],
}
"""What a tool asks in each round."""


async def list_tools(_ctx: Any, _params: PaginatedRequestParams | None) -> ListToolsResult:
    if "wordy" in sys.argv:
        wordy = [tool.model_copy(update={"description": f"{tool.name}: {'word ' * 500}"}) for tool in TOOLS]
        return ListToolsResult(tools=wordy)
    return ListToolsResult(tools=TOOLS)


async def call_tool(ctx: Any, params: CallToolRequestParams) -> CallToolResult | InputRequiredResult:
    if ctx.protocol_version < "2026":
        return await call_open(ctx, params)
    so_far: list[Any] = json.loads(params.request_state) if params.request_state else []
    if params.request_state:
        given = params.input_responses or {}
        so_far.append({name: answer.model_dump(mode="json", exclude_none=True) for name, answer in given.items()})
    rounds = ASKS[params.name]
    if len(so_far) < len(rounds):
        return InputRequiredResult(input_requests=rounds[len(so_far)] or None, request_state=json.dumps(so_far))
    return finished(params, so_far)


async def call_open(ctx: Any, params: CallToolRequestParams) -> CallToolResult:
    so_far: list[Any] = []
    for asked in ASKS[params.name]:
        answers = {name: await ask(ctx, request) for name, request in asked.items()}
        so_far.append({name: answer.model_dump(mode="json", exclude_none=True) for name, answer in answers.items()})
        if any(getattr(answer, "action", None) == "cancel" for answer in answers.values()):
            effect(f"{params.name}-dismissed", key_of(params))
            return CallToolResult(content=[TextContent(text="dismissed")])
    return finished(params, so_far)


async def ask(ctx: Any, request: Any) -> Any:
    # Over HTTP this puts the question into the stream of the call.
    session, call = ctx.session, ctx.request_id
    match request:
        case ElicitRequest(params=ElicitRequestURLParams() as url):
            return await session.elicit_url(url.message, url.url, "1", related_request_id=call)
        case ElicitRequest(params=ElicitRequestFormParams() as asked):
            return await session.elicit_form(asked.message, asked.requested_schema, related_request_id=call)
        case CreateMessageRequest(params=params):
            return await session.create_message(params.messages, max_tokens=params.max_tokens, related_request_id=call)
        case _:
            return await session.list_roots()


def finished(params: CallToolRequestParams, answers: list[Any]) -> CallToolResult:
    effect(params.name, key_of(params))
    return CallToolResult(content=[TextContent(text=json.dumps(answers))])


def key_of(params: CallToolRequestParams) -> str | None:
    meta: dict[str, Any] = dict(params.meta or {})
    return meta.get("idempotency_key")


class OldOverHTTP:
    """Refuses what only newer clients send."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        versions = [value for name, value in scope.get("headers", ()) if name == b"mcp-protocol-version"]
        if scope["type"] == "http" and any(version >= b"2026" for version in versions):
            return await Response(status_code=400)(scope, receive, send)
        return await self._app(scope, receive, send)


async def without_discovery(reading: Any, writing: Any, passed_on: Any) -> None:
    async with passed_on:
        async for item in reading:
            message = item.message
            if getattr(message, "method", "") == "server/discover":
                error = ErrorData(code=METHOD_NOT_FOUND, message="Method not found")
                await writing.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=message.id, error=error)))
            else:
                await passed_on.send(item)


async def main() -> None:
    server: Server[Any] = Server("curious", on_list_tools=list_tools, on_call_tool=call_tool)
    old = "old" in sys.argv
    if "--http" in sys.argv:
        app = server.streamable_http_app()
        port = int(sys.argv[sys.argv.index("--http") + 1])
        config = uvicorn.Config(OldOverHTTP(app) if old else app, port=port, log_level="error")
        await uvicorn.Server(config).serve()
        return
    async with stdio_server() as (reading, writing), anyio.create_task_group() as tasks:
        if old:
            sending, receiving = anyio.create_memory_object_stream[Any]()
            tasks.start_soon(without_discovery, reading, writing, sending)
            reading = receiving
        await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    asyncio.run(main())
