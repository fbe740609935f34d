"""MCP servers as toolsets: real servers in real processes, over stdio and streamable HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from mcp_types import BlobResourceContents, CallToolResult, EmbeddedResource

from app.ai import Agent
from app.ai.exceptions import ModelRetry
from app.ai.mcp import (
    CallToolFunc,
    MCPCallLost,
    MCPServer,
    MCPServerStdio,
    MCPServerStreamableHTTP,
    MCPServerUnavailable,
    opened_on_demand,
)
from app.ai.mcp.content import tool_result
from app.ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.test import TestModel
from app.ai.run_context import RunContext
from app.ai.usage import RunUsage

DEMO_SERVER = str(Path(__file__).parents[2] / "app/agents/demo/mcp_server.py")


def stdio(**options: Any) -> MCPServerStdio:
    options.setdefault("id", "demo")
    env: dict[str, str] | None = options.pop("env", None)
    return MCPServerStdio(sys.executable, ["-P", DEMO_SERVER], env=env, **options)


def context(**fields: Any) -> RunContext[Any]:
    return RunContext(deps=None, model=cast("Any", None), usage=RunUsage(), **fields)


async def call(server: MCPServer, name: str, args: dict[str, Any], **fields: Any) -> Any:
    ctx = context(tool_name=name, **fields)
    tools = await server.get_tools(ctx)
    return await server.call_tool(name, args, ctx, tools[name])


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def children() -> set[int]:
    """The servers that run as children of this process, without the one that the tests share."""
    task = Path(f"/proc/{os.getpid()}/task")
    pids = {int(pid) for file in task.glob("*/children") for pid in file.read_text().split()}
    return {pid for pid in pids if DEMO_SERVER in proc(pid, "cmdline") and "SHARED=" not in proc(pid, "environ")}


def proc(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    return proc(pid, "stat").split()[2:3] not in ([], ["Z"])


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[MCPServerStdio]:
    """One server for the tests that leave it alive."""
    async with stdio(env={"SHARED": "yes"}) as server:
        yield server


@pytest.fixture
async def server() -> AsyncIterator[MCPServerStdio]:
    async with stdio() as server:
        yield server


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http_server() as port:
        yield port


@contextmanager
def http_server(port: int | None = None) -> Iterator[int]:
    port = port or free_port()
    process = subprocess.Popen([sys.executable, "-P", DEMO_SERVER, "--http", str(port)], stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_port(port: int) -> None:
    for _ in range(1000):
        with socket.socket() as probe:
            probe.settimeout(0.02)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
            threading.Event().wait(0.02)
    raise TimeoutError(f"nobody listens on {port}")


# --- what the tools look like


def test_importing_the_toolset_does_not_import_the_sdk() -> None:
    code = "import sys, app.ai.mcp; sys.exit('mcp' in sys.modules or 'httpx2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_tools_are_listed_with_schema_and_annotations(shared: MCPServerStdio) -> None:
    tools = await shared.get_tools(context())
    assert list(tools) == ["echo", "add", "slow", "fail", "effect", "media", "crash"]
    add = tools["add"].tool_def
    assert add.description == "Add two numbers."
    assert set(add.parameters_json_schema["properties"]) == {"a", "b"}
    assert add.return_schema is not None
    assert set(add.return_schema["properties"]) == {"total", "terms"}
    assert add.metadata is not None
    assert add.metadata["annotations"] == {"idempotent_hint": True, "open_world_hint": False}
    assert tools["add"].max_retries == 1


async def test_a_prefix_is_put_before_names_and_taken_off_for_the_server() -> None:
    async with stdio(tool_prefix="demo", idempotent_tools={"slow"}) as server:
        tools = await server.get_tools(context())
        assert "demo_echo" in tools
        assert tools["demo_slow"].idempotent
        assert await call(server, "demo_echo", {"text": "hi"}) == "hi"


async def test_annotations_of_an_untrusted_server_loosen_nothing(shared: MCPServerStdio) -> None:
    tools = await shared.get_tools(context())
    assert not any(tool.idempotent for tool in tools.values())


async def test_a_trusted_servers_annotations_and_the_configuration_make_tools_idempotent() -> None:
    async with stdio(trust_annotations=True, idempotent_tools={"effect"}) as server:
        tools = await server.get_tools(context())
        assert {name for name, tool in tools.items() if tool.idempotent} == {"echo", "add", "slow", "effect"}


async def test_tools_are_rebuilt_from_their_definitions_without_the_server(shared: MCPServerStdio) -> None:
    listed = (await shared.get_tools(context()))["add"]
    elsewhere = MCPServerStdio("/does/not/exist", id="demo", trust_annotations=True, max_retries=3)
    rebuilt = elsewhere.tool_for_tool_def(listed.tool_def)
    assert not elsewhere.is_running
    assert rebuilt.tool_def == listed.tool_def
    assert rebuilt.idempotent
    assert rebuilt.max_retries == 3
    assert rebuilt.args_validator.validate_json('{"a": 1}') == {"a": 1}


# --- what calls give back


async def test_structured_content_is_preferred(shared: MCPServerStdio) -> None:
    assert await call(shared, "add", {"a": 1, "b": 2}) == {"total": 3.0, "terms": [1.0, 2.0]}


async def test_a_wrapped_plain_value_is_unwrapped(shared: MCPServerStdio) -> None:
    assert await call(shared, "echo", {"text": "hello"}) == "hello"


async def test_text_images_audio_and_resources_are_mapped(shared: MCPServerStdio) -> None:
    text, image, audio, note, link = await call(shared, "media", {})
    assert text == "here you are"
    assert isinstance(image, BinaryContent)
    assert image.media_type == "image/png"
    assert image.data.startswith(b"\x89PNG")
    assert isinstance(audio, BinaryContent)
    assert (audio.media_type, audio.data) == ("audio/wav", b"RIFF")
    assert note == "a note"
    assert link == {"type": "resource_link", "name": "report", "uri": "file:///report.txt"}


async def test_a_failing_tool_asks_the_model_to_try_again(shared: MCPServerStdio) -> None:
    with pytest.raises(ModelRetry, match="the disk is full"):
        await call(shared, "fail", {"reason": "the disk is full"})


async def test_unknown_tools_and_bad_arguments_ask_the_model_to_try_again(shared: MCPServerStdio) -> None:
    with pytest.raises(ModelRetry, match="Unknown tool: nope"):
        await shared.direct_call_tool("nope", {})
    with pytest.raises(ModelRetry, match="valid number"):
        await call(shared, "add", {"a": "one", "b": 2})


async def test_the_idempotency_key_travels_in_meta(shared: MCPServerStdio, tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    await call(shared, "effect", {"path": str(effects), "note": "n"}, idempotency_key="run-1:3")
    await call(shared, "effect", {"path": str(effects), "note": "n"})
    assert [json.loads(line)["idempotency_key"] for line in effects.read_text().splitlines()] == ["run-1:3", None]


async def test_process_tool_call_stands_between_the_run_and_the_server(tmp_path: Path) -> None:
    seen: list[tuple[str | None, str]] = []

    async def process(ctx: RunContext[Any], call_tool: CallToolFunc, name: str, args: dict[str, Any]) -> Any:
        seen.append((ctx.tool_name, name))
        return {"was": await call_tool(name, {"text": args["text"].upper()}, {"idempotency_key": "mine"})}

    async with stdio(tool_prefix="x", process_tool_call=process) as server:
        assert await call(server, "x_echo", {"text": "hi"}) == {"was": "HI"}
    assert seen == [("echo", "echo")]


async def test_the_time_server_from_pypi_answers() -> None:
    async with MCPServerStdio(sys.executable, ["-m", "mcp_server_time", "--local-timezone", "UTC"]) as server:
        now = await call(server, "get_current_time", {"timezone": "Asia/Tokyo"})
    assert now["timezone"] == "Asia/Tokyo"


async def test_an_agent_calls_mcp_tools_and_learns_of_their_failures() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        match last:
            case RetryPromptPart(content=str(reason)) if reason.endswith("no luck"):
                return ModelResponse(parts=[ToolCallPart("demo_add", {"a": 1, "b": 2})])
            case ToolReturnPart(content={"total": total}):
                return ModelResponse(parts=[TextPart(f"the sum is {total}")])
            case _:
                return ModelResponse(parts=[ToolCallPart("demo_fail", {"reason": "no luck"})])

    agent = Agent(FunctionModel(answer), toolsets=[stdio(tool_prefix="demo")])
    assert (await agent.run("go")).output == "the sum is 3.0"
    assert children() == set()


# --- connections


async def test_a_server_starts_when_it_is_entered_and_ends_with_the_last_user() -> None:
    server = stdio()
    assert not server.is_running
    async with server:
        assert server.is_running
        async with server:
            await asyncio.gather(*(server.direct_call_tool("echo", {"text": "x"}) for _ in range(5)))
            assert len(children()) == 1
        assert server.is_running
    assert not server.is_running
    assert children() == set()


async def test_a_server_opened_on_demand_starts_with_the_first_request() -> None:
    server = stdio()
    with opened_on_demand():
        async with server:
            assert not server.is_running
            await server.direct_call_tool("echo", {"text": "x"})
            assert server.is_running
    assert not server.is_running
    assert children() == set()


async def test_a_server_that_cannot_be_entered_is_left_as_it_was() -> None:
    server = MCPServerStdio("/does/not/exist")
    with pytest.raises(MCPServerUnavailable, match="/does/not/exist"):
        await server.__aenter__()
    assert not server.is_running
    with pytest.raises(MCPServerUnavailable, match="/does/not/exist"):
        await Agent(TestModel(), toolsets=[server]).run("go")


async def test_a_server_that_nobody_entered_is_started_for_one_call() -> None:
    assert await stdio().direct_call_tool("echo", {"text": "x"}) == "x"
    assert children() == set()


async def test_calls_from_several_tasks_share_one_server(shared: MCPServerStdio) -> None:
    async def one(number: int) -> Any:
        return await asyncio.create_task(shared.direct_call_tool("add", {"a": number, "b": 1}))

    totals = await asyncio.gather(*(one(number) for number in range(20)))
    assert [total["total"] for total in totals] == [number + 1 for number in range(20)]


async def test_a_cancelled_call_leaves_the_connection_usable(server: MCPServerStdio) -> None:
    await server.direct_call_tool("echo", {"text": "up"})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await server.direct_call_tool("slow", {"seconds": 30})
    (pid,) = children()
    assert await server.direct_call_tool("echo", {"text": "still here"}) == "still here"
    assert children() == {pid}


def test_one_server_object_serves_several_event_loops() -> None:
    server = stdio()

    async def use() -> Any:
        async with server:
            return await server.direct_call_tool("echo", {"text": "x"})

    assert [asyncio.run(use()), asyncio.run(use())] == ["x", "x"]


async def test_nothing_is_left_of_closed_connections() -> None:
    async def use() -> tuple[int, int]:
        async with stdio() as server:
            await server.direct_call_tool("echo", {"text": "x"})
            with pytest.raises(MCPCallLost):
                await server.direct_call_tool("crash", {"exit_code": 1})
            await server.direct_call_tool("echo", {"text": "x"})
        return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())

    first = await use()
    assert await use() == first


async def test_a_server_that_died_between_calls_is_replaced(server: MCPServerStdio) -> None:
    await server.direct_call_tool("echo", {"text": "up"})
    (pid,) = children()
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not server.is_running)
    assert await server.direct_call_tool("echo", {"text": "again"}) == "again"
    assert pid not in children()


async def test_a_server_that_dies_in_a_call_loses_it_and_is_replaced_for_the_next(server: MCPServerStdio) -> None:
    with pytest.raises(MCPCallLost) as lost:
        await server.direct_call_tool("crash", {"exit_code": 3})
    assert (lost.value.reason, lost.value.tool) == ("connection", "crash")
    assert await server.direct_call_tool("echo", {"text": "again"}) == "again"


async def test_a_call_without_an_answer_in_time_is_lost() -> None:
    async with stdio(read_timeout=0.2) as server:
        with pytest.raises(MCPCallLost) as lost:
            await server.direct_call_tool("slow", {"seconds": 30})
        assert lost.value.reason == "timeout"
        assert "0.2 s" in str(lost.value)
        assert await server.direct_call_tool("echo", {"text": "alive"}) == "alive"


def test_a_lost_call_survives_pickling() -> None:
    lost = pickle.loads(pickle.dumps(MCPCallLost("effect", "timeout", "no answer")))
    assert (lost.tool, lost.reason, str(lost)) == (
        "effect",
        "timeout",
        str(MCPCallLost("effect", "timeout", "no answer")),
    )


# --- servers that do not start


async def test_a_server_that_fails_at_start_is_named_with_the_end_of_its_stderr() -> None:
    broken = MCPServerStdio(sys.executable, ["-c", "import sys; sys.exit('no such database')"], id="db")
    with pytest.raises(MCPServerUnavailable, match=r"'db' \(.*python.*did not start(?s:.*)no such database"):
        await broken.list_tools()


async def test_a_command_that_does_not_exist_is_named() -> None:
    with pytest.raises(MCPServerUnavailable, match="/does/not/exist"):
        await MCPServerStdio("/does/not/exist").direct_call_tool("echo", {})


async def test_a_server_that_never_answers_is_given_up_and_stopped() -> None:
    silent = MCPServerStdio(sys.executable, ["-c", "import time; time.sleep(60)"], timeout=0.3)
    with pytest.raises(MCPServerUnavailable, match=r"no answer within 0\.3 s"):
        await silent.list_tools()


def test_arguments_that_may_be_secrets_are_not_shown() -> None:
    assert MCPServerStdio("npx", ["-y", "pg", "postgres://u:secret@h/db", "more"]).target == "npx -y pg …"
    assert MCPServerStdio("srv", ["run", "--token", "secret"]).target == "srv run …"
    assert MCPServerStreamableHTTP("https://u:secret@h:1/mcp?key=secret").target == "https://h:1/mcp"


async def test_the_child_sees_only_the_environment_that_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_API_KEY", "secret")
    code = "import os, sys; sys.exit(repr([os.environ.get('MY_API_KEY'), os.environ.get('GIVEN')]))"
    with pytest.raises(MCPServerUnavailable, match=r"\[None, 'yes'\]"):
        await MCPServerStdio(sys.executable, ["-c", code], env={"GIVEN": "yes"}).list_tools()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is a Linux thing")
async def test_a_server_does_not_outlive_its_killed_parent(tmp_path: Path) -> None:
    # This server ignores that its stdin ends, so only the parent's death can stop it.
    stubborn = (
        f"import os, sys, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nwhile True: time.sleep(1)"
    )
    parent = (
        "import asyncio, sys\n"
        "from app.ai.mcp import MCPServerStdio\n"
        f"asyncio.run(MCPServerStdio(sys.executable, ['-c', {stubborn!r}], timeout=60).list_tools())"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    try:
        await eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
    finally:
        process.kill()
        process.wait()
    pid = int((tmp_path / "pid").read_text())
    await eventually(lambda: not is_alive(pid))


# --- streamable HTTP


async def test_tools_are_listed_and_called_over_http(port: int) -> None:
    async with MCPServerStreamableHTTP(f"http://127.0.0.1:{port}/mcp", id="remote") as server:
        assert "add" in await server.get_tools(context())
        assert await call(server, "add", {"a": 1, "b": 2}) == {"total": 3.0, "terms": [1.0, 2.0]}
        with pytest.raises(ModelRetry, match="why"):
            await call(server, "fail", {"reason": "why"})


async def test_nobody_listening_is_one_clear_error() -> None:
    with pytest.raises(MCPServerUnavailable, match=r"http://127\.0\.0\.1:\d+/mcp.*no connection"):
        await MCPServerStreamableHTTP(f"http://127.0.0.1:{free_port()}/mcp").list_tools()


async def test_a_call_that_finds_nobody_listening_is_not_lost() -> None:
    with http_server() as port:
        server = MCPServerStreamableHTTP(f"http://127.0.0.1:{port}/mcp")
        await server.__aenter__()
        assert await server.direct_call_tool("echo", {"text": "up"}) == "up"
    with pytest.raises(MCPServerUnavailable, match="no connection"):
        await server.direct_call_tool("echo", {"text": "down"})
    with http_server(port):
        assert await server.direct_call_tool("echo", {"text": "up again"}) == "up again"
        await server.__aexit__()


async def test_an_http_server_that_dies_in_a_call_loses_it() -> None:
    with http_server() as port:
        async with MCPServerStreamableHTTP(f"http://127.0.0.1:{port}/mcp") as server:
            with pytest.raises(MCPCallLost) as lost:
                await server.direct_call_tool("crash", {"exit_code": 3})
            assert lost.value.reason == "connection"


def test_headers_beside_a_client_of_your_own_are_refused() -> None:
    with pytest.raises(ValueError, match="http_client"):
        MCPServerStreamableHTTP("http://h/mcp", headers={"a": "b"}, http_client=cast("Any", object()))


UNHEARD = {"code": -32602, "message": "no tool of that name"}


class FakeLegacyServer(ThreadingHTTPServer):
    """A server of the 2025 era with sessions, which answers tool calls with what the test put in `answers`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FakeLegacyHandler)
        self.session = 0
        self.calls: list[str | None] = []
        self.authorization: set[str | None] = set()
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/mcp"


class FakeLegacyHandler(BaseHTTPRequestHandler):
    server: FakeLegacyServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.authorization.add(self.headers.get("authorization"))
        match request["method"]:
            case "initialize":
                self.server.session += 1
                capabilities = {"capabilities": {"tools": {}}, "serverInfo": {"name": "old", "version": "1"}}
                self._answer(request, {"protocolVersion": "2025-11-25", **capabilities})
            case "tools/call":
                self._call(request)
            case "tools/list":
                self._answer(request, self._page(request.get("params", {}).get("cursor")))
            case method if method.startswith("notifications/"):
                self._send(202)
            case _:
                self._send(404)

    def do_GET(self) -> None:
        self._send(405)

    def do_DELETE(self) -> None:
        self._send(200)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _call(self, request: dict[str, Any]) -> None:
        session = self.headers.get("mcp-session-id")
        if session != str(self.server.session):
            self._send(404)
            return
        self.server.calls.append(session)
        if request["params"]["name"] == "unheard":
            self._send(400, json.dumps({"jsonrpc": "2.0", "id": None, "error": UNHEARD}).encode())
            return
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status != 200:
            self._send(status)
            return
        self._answer(request, {"content": [{"type": "text", "text": f"session {session}"}]})

    def _page(self, cursor: str | None) -> dict[str, Any]:
        if cursor is None:
            return {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}], "nextCursor": "2"}
        typed = {"name": "typed", "inputSchema": {"type": "object"}, "outputSchema": {"type": "object"}}
        return {"tools": [typed]}

    def _answer(self, request: dict[str, Any], result: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()
        self._send(200, body)

    def _send(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        if self.server.session:
            self.send_header("mcp-session-id", str(self.server.session))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def legacy() -> Iterator[FakeLegacyServer]:
    with FakeLegacyServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


async def test_a_session_that_the_server_forgot_is_replaced_and_the_call_made_once(legacy: FakeLegacyServer) -> None:
    async with MCPServerStreamableHTTP(legacy.url) as server:
        assert await server.direct_call_tool("echo", {}) == "session 1"
        legacy.session = 7
        assert await server.direct_call_tool("echo", {}) == "session 8"
    assert legacy.calls == ["1", "8"]


async def test_a_gateway_error_loses_the_call_and_a_refusal_does_not(legacy: FakeLegacyServer) -> None:
    async with MCPServerStreamableHTTP(legacy.url) as server:
        legacy.answers = [502]
        with pytest.raises(MCPCallLost, match="HTTP 502"):
            await server.direct_call_tool("echo", {})
        legacy.answers = [401]
        with pytest.raises(MCPServerUnavailable, match="HTTP 401"):
            await server.direct_call_tool("echo", {})
        assert (await server.direct_call_tool("echo", {})).startswith("session")


async def test_headers_go_with_every_request(legacy: FakeLegacyServer) -> None:
    async with MCPServerStreamableHTTP(legacy.url, headers={"Authorization": "Bearer t"}) as server:
        await server.direct_call_tool("echo", {})
    assert legacy.authorization == {"Bearer t"}


async def test_a_listing_is_read_to_its_last_page(legacy: FakeLegacyServer) -> None:
    assert [tool.name for tool in await MCPServerStreamableHTTP(legacy.url).list_tools()] == ["echo", "typed"]


async def test_protocol_errors_and_invalid_results_ask_the_model_to_try_again(legacy: FakeLegacyServer) -> None:
    async with MCPServerStreamableHTTP(legacy.url) as server:
        with pytest.raises(ModelRetry, match="refused the call of 'unheard': no tool of that name"):
            await server.direct_call_tool("unheard", {})
        await server.list_tools()
        with pytest.raises(ModelRetry, match="'typed' ran, but its result is not valid"):
            await server.direct_call_tool("typed", {})


async def test_a_connection_that_breaks_under_a_request_loses_the_call() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as rude:
        url = f"http://127.0.0.1:{rude.sockets[0].getsockname()[1]}/mcp"
        with pytest.raises(MCPServerUnavailable, match="the connection broke"):
            await MCPServerStreamableHTTP(url).list_tools()


def test_binary_resources_and_empty_results_are_mapped() -> None:
    blob = EmbeddedResource(resource=BlobResourceContents(uri="file:///a.bin", blob="AAE="))
    assert tool_result(CallToolResult(content=[blob])) == BinaryContent(b"\0\1", media_type="application/octet-stream")
    assert tool_result(CallToolResult(content=[])) is None
    assert tool_result(CallToolResult(content=[], structured_content={"result": 1, "more": 2})) == {
        "result": 1,
        "more": 2,
    }
