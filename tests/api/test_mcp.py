"""/mcp: the service as an MCP server, asked by our own client and by the inspector from npm."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.ai.exceptions import ModelRetry
from app.ai.mcp import MCPServerStreamableHTTP, MCPServerUnavailable
from app.api.security import AccessRules
from tests.ai.test_mcp import context
from tests.api.conftest import Stage, make_test_app, serving

INSPECTOR = "@modelcontextprotocol/inspector@0.15.0"


async def ask(url: str, tool: str, *, key: str | None = None, **arguments: Any) -> Any:
    """The tool's structured answer."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with MCPServerStreamableHTTP(f"{url}/mcp", headers=headers) as server:
        return await server.direct_call_tool(tool, arguments)


async def test_each_agent_is_a_tool(service_url: str) -> None:
    async with MCPServerStreamableHTTP(f"{service_url}/mcp") as server:
        tools = await server.get_tools(context())
        assert "run_id" in str(await server.server_instructions())
    assert list(tools) == ["run_demo", "get_run"]
    run_demo = tools["run_demo"].tool_def
    assert run_demo.description == "For tests."
    assert run_demo.parameters_json_schema["required"] == ["prompt"]
    assert "output" in (run_demo.return_schema or {})["properties"]


async def test_a_run_that_takes_longer_is_answered_later(service_url: str, http: httpx.Client, stage: Stage) -> None:
    started = await ask(service_url, "run_demo", prompt="hello", wait_seconds=0)
    assert (started["status"], started["output"]) == ("queued", None)
    run = http.get(f"/api/runs/{started['run_id']}").json()
    assert (run["agent"], run["prompt"]) == ("demo", "hello")

    stage.succeed(run["run_id"], "well")
    answered = await ask(service_url, "get_run", run_id=run["run_id"])
    assert (answered["status"], answered["output"]) == ("succeeded", "well")
    follow_up = {"prompt": "and then?", "conversation_id": answered["conversation_id"], "wait_seconds": 0}
    again = await ask(service_url, "run_demo", **follow_up)
    assert again["conversation_id"] == answered["conversation_id"]


async def test_the_same_key_gives_the_same_run(service_url: str) -> None:
    same = {"prompt": "hello", "idempotency_key": "k1", "wait_seconds": 0}
    first, second = [(await ask(service_url, "run_demo", **same))["run_id"] for _ in range(2)]
    assert first == second
    async with MCPServerStreamableHTTP(f"{service_url}/mcp") as server:
        meta = {"idempotency_key": "k1"}
        third = await server.direct_call_tool("run_demo", {"prompt": "hello", "wait_seconds": 0}, meta)
        assert third["run_id"] == first
        with pytest.raises(ModelRetry, match="with another body"):
            await server.direct_call_tool("run_demo", {"prompt": "other", "wait_seconds": 0}, meta)


async def test_a_run_that_waits_or_failed_says_so(service_url: str, http: httpx.Client, stage: Stage) -> None:
    waiting = (await ask(service_url, "run_demo", prompt="hello", wait_seconds=0))["run_id"]
    stage.wait_for(waiting, "c1")
    shown = await ask(service_url, "get_run", run_id=waiting)
    assert (shown["status"], shown["waiting_for"][0]["tool"]) == ("waiting", "pay")
    http.post(f"/api/runs/{waiting}/cancel")
    with pytest.raises(ModelRetry, match="cancelled"):
        await ask(service_url, "get_run", run_id=waiting)


@pytest.mark.parametrize(
    ("tool", "arguments", "message"),
    [
        ("run_demo", {}, "prompt: Field required"),
        ("run_demo", {"prompt": "a", "wait": 1}, "wait: Extra inputs"),
        ("run_demo", {"prompt": "a\0b"}, "NUL"),
        ("run_demo", {"prompt": "x" * 20_000}, "prompt"),
        ("run_demo", {"prompt": "a", "conversation_id": "nowhere"}, "no conversation"),
        ("run_nobody", {"prompt": "a"}, "Use one of: run_demo"),
        ("get_run", {"run_id": "seven"}, "run_id"),
        ("get_run", {"run_id": "00000000-0000-7000-8000-000000000000"}, "There is no run"),
    ],
)
async def test_bad_arguments_are_refused_in_words(
    service_url: str, tool: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelRetry, match=message):
        await ask(service_url, tool, **arguments)


@pytest.fixture
def locked_url(database_url: str) -> Iterator[str]:
    with serving(make_test_app(database_url, AccessRules(max_body_bytes=30_000, api_key="boot"))) as url:
        yield url


async def test_it_needs_a_key_like_everything_else(locked_url: str) -> None:
    assert (await ask(locked_url, "run_demo", key="boot", prompt="hello", wait_seconds=0))["status"] == "queued"
    with pytest.raises((ModelRetry, MCPServerUnavailable)):
        await ask(locked_url, "run_demo", key="wrong", prompt="hello")
    with httpx.Client(base_url=locked_url) as http:
        assert http.post("/mcp", json={}).status_code == 401


def test_without_a_key_it_answers_for_local_names_only(service_url: str, http: httpx.Client) -> None:
    refused = http.post("/mcp", json={}, headers={"Host": "evil.test"})
    assert (refused.status_code, refused.json()["type"]) == (421, "host_not_allowed")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_inspector_of_npm_lists_and_calls_it(service_url: str, database: psycopg.Connection) -> None:
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed: the MCP inspector is not tried")
    folder = Path.home() / ".cache" / "holdfast-tests" / "mcp-inspector-0.15.0"
    if not (folder / "installed").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), INSPECTOR]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"npm cannot install the MCP inspector, it is not tried: {error}")
        (folder / "installed").touch()

    def inspect(*arguments: str) -> Any:
        command = [str(folder / "node_modules" / ".bin" / "mcp-inspector"), "--cli", f"{service_url}/mcp", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    listed = inspect("--method", "tools/list")
    assert [tool["name"] for tool in listed["tools"]] == ["run_demo", "get_run"]
    call = ["--method", "tools/call", "--tool-name"]
    started = inspect(*call, "run_demo", "--tool-arg", "prompt=hello", "--tool-arg", "wait_seconds=0")
    run_id = started["structuredContent"]["run_id"]
    Stage(database).succeed(run_id, "well")
    answered = inspect(*call, "get_run", "--tool-arg", f"run_id={run_id}")
    assert answered["content"][0]["text"] == "well"
    assert answered["structuredContent"]["status"] == "succeeded"
