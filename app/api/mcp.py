"""/mcp: the agents of this service as tools of an MCP server, over streamable HTTP in both protocol eras.

No sessions are kept, so any API process can answer any request. The rules of `app.api.security` hold here too.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.types import Receive, Scope, Send

from app.api.dependencies import MAX_WAIT_SECONDS
from app.errors import HoldfastError, Invalid
from app.runs import refusals
from app.runs.keys import Caller
from app.runs.records import OpenWait, Run, RunError, RunStatus
from app.runs.requests import StartRun
from app.runs.service import RunService
from app.runs.text import find_unstorable

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams, Tool

logger = logging.getLogger(__name__)

PATH = "/mcp"
GET_RUN = "get_run"
_SDK = ("mcp.server.lowlevel.server", "mcp.server.streamable_http_manager", "mcp.server.transport_security")
_INSTRUCTIONS = (
    "Each run_… tool asks one agent. A run that takes longer than wait_seconds goes on by itself: "
    "ask get_run for its answer with the run_id that you got."
)

Wait = Annotated[
    float, Field(ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the answer before you get the run's id.")
]


class AskAgent(BaseModel):
    """Arguments of a tool that asks an agent."""

    model_config = ConfigDict(extra="forbid")

    prompt: Annotated[str, Field(min_length=1, description="What to ask the agent.")]
    conversation_id: Annotated[str | None, Field(description="Go on with this conversation.")] = None
    idempotency_key: Annotated[
        str | None, Field(min_length=1, max_length=255, description="The same key and prompt give the same run.")
    ] = None
    wait_seconds: Wait = 20


class GetRun(BaseModel):
    """Arguments of the tool that looks at a run."""

    model_config = ConfigDict(extra="forbid")

    run_id: Annotated[UUID, Field(description="As a run_… tool gave it.")]
    wait_seconds: Wait = 20


class RunAnswer(BaseModel):
    """What came of a run so far."""

    run_id: str
    conversation_id: str | None
    status: RunStatus
    output: Any = Field(description="The agent's answer, once it succeeded.")
    error: RunError | None
    waiting_for: list[OpenWait] | None = Field(description="What somebody has to decide before the run goes on.")


class AgentTools:
    """The ASGI application at /mcp. It loads the SDK with the first request, which takes a second or two."""

    def __init__(self, service: RunService) -> None:
        self._service = service
        self._owner: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """Serve requests inside the block."""
        self._ready: asyncio.Future[StreamableHTTPSessionManager] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            if self._owner is not None:
                self._owner.cancel()
                await asyncio.wait([self._owner])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._owner is None:
            # It outlives the request, so it must not inherit its context.
            self._owner = asyncio.create_task(self._own(), name="mcp server", context=Context())
        manager = await asyncio.shield(self._ready)
        await manager.asgi_app(scope, receive, send)

    async def _own(self) -> None:
        """Hold the SDK's tasks: they must be entered and left by one of ours."""
        try:
            await self._hold()
        except Exception as error:
            logger.exception("The MCP server of this process does not work")
            if not self._ready.done():
                self._ready.set_exception(error)

    async def _hold(self) -> None:
        for module in _SDK:
            # In a thread, because nothing else may stand still for so long.
            await asyncio.to_thread(import_module, module)
        from mcp.server.lowlevel.server import Server
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
        from mcp.server.transport_security import TransportSecuritySettings

        server: Server[Any] = Server(
            "holdfast", instructions=_INSTRUCTIONS, on_list_tools=self._list_tools, on_call_tool=self._call_tool
        )
        # The gate of the service has looked at Host and body already.
        unchecked = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        manager = StreamableHTTPSessionManager(server, json_response=True, stateless=True, security_settings=unchecked)
        async with manager.run():
            self._ready.set_result(manager)
            await asyncio.Event().wait()

    async def _list_tools(
        self, _ctx: ServerRequestContext[Any, Any], _params: PaginatedRequestParams | None
    ) -> ListToolsResult:
        from mcp_types import ListToolsResult

        agents = self._agents()
        asking = [
            _tool(name, self._service.agents[agent].description or f"Ask the agent {agent!r}.", AskAgent)
            for name, agent in agents.items()
        ]
        get_run = _tool(GET_RUN, "What came of a run that was started before.", GetRun, read_only=True)
        return ListToolsResult(tools=[*asking, get_run])

    async def _call_tool(self, ctx: ServerRequestContext[Any, Any], params: CallToolRequestParams) -> CallToolResult:
        assert ctx.request is not None, "requests come over HTTP"
        caller: Caller = ctx.request.scope["caller"]
        key = dict[str, Any](ctx.meta or {}).get("idempotency_key")
        try:
            run = await self._run(params.name, params.arguments or {}, str(key) if key else None, caller)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            return _refusal(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
        except HoldfastError as error:
            return _refusal(f"{error.detail} {error.fix or ''}".strip())
        return _result(run)

    async def _run(self, tool: str, arguments: dict[str, Any], key: str | None, caller: Caller) -> Run:
        if (found := find_unstorable(arguments)) is not None:
            raise refusals.unstorable(found)
        if tool == GET_RUN:
            wanted = GetRun.model_validate(arguments)
            return await self._service.wait(str(wanted.run_id), wanted.wait_seconds)
        agents = self._agents()
        if tool not in agents:
            raise Invalid(f"There is no tool {tool!r}.", type="unknown_agent", fix=f"Use one of: {', '.join(agents)}.")
        asked = AskAgent.model_validate(arguments)
        request = StartRun(agent=agents[tool], prompt=asked.prompt, conversation_id=asked.conversation_id)
        started = await self._service.start(request, idempotency_key=asked.idempotency_key or key, caller=caller)
        return await self._service.wait(started.run.run_id, asked.wait_seconds)

    def _agents(self) -> dict[str, str]:
        """The agents by the names of their tools."""
        return {f"run_{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}": name for name in sorted(self._service.agents)}


def _tool(name: str, description: str, arguments: type[BaseModel], *, read_only: bool = False) -> Tool:
    from mcp_types import Tool, ToolAnnotations

    return Tool(
        name=name,
        description=description,
        input_schema=arguments.model_json_schema(),
        output_schema=RunAnswer.model_json_schema(),
        annotations=ToolAnnotations(read_only_hint=read_only),
    )


def _result(run: Run) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    answer = RunAnswer.model_validate(run.model_dump())
    return CallToolResult(
        content=[TextContent(text=_text(run))],
        structured_content=answer.model_dump(mode="json"),
        is_error=run.status in ("failed", "cancelled"),
    )


def _text(run: Run) -> str:
    match run.status:
        case "succeeded":
            return run.output if isinstance(run.output, str) else json.dumps(run.output, ensure_ascii=False)
        case "waiting":
            calls = ", ".join(f"{wait.tool} ({wait.kind})" for wait in run.waiting_for or ())
            return f"Run {run.run_id} waits for somebody: {calls}. Ask {GET_RUN} later."
        case "queued" | "running":
            return f"Run {run.run_id} is not finished. Ask {GET_RUN} for its answer."
        case status:
            why = (run.error.message if run.error else None) or run.reason or ""
            return f"Run {run.run_id} {status}. {why}".strip()


def _refusal(text: str) -> CallToolResult:
    from mcp_types import CallToolResult, TextContent

    return CallToolResult(content=[TextContent(text=text)], is_error=True)
