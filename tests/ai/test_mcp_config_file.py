"""MCP servers from the JSON file that MCP clients share."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from app.ai import Agent
from app.ai.exceptions import UserError
from app.ai.mcp import MCPServerSSE, MCPServerStdio, MCPServerStreamableHTTP, load_mcp_servers
from app.ai.models.test import TestModel


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mcp.json"


def write(file: Path, **servers: Any) -> Path:
    file.write_text(json.dumps({"mcpServers": servers}))
    return file


def test_each_kind_of_server_is_made_with_its_name_as_id_and_prefix(file: Path) -> None:
    write(
        file,
        files={"command": "npx", "args": ["-y", "fs", "/tmp"], "env": {"A": "b"}, "cwd": "/tmp", "disabled": False},
        remote={"url": "https://h/mcp", "headers": {"X-Key": "k"}},
        old={"url": "https://h/sse/"},
        told={"type": "sse", "url": "https://h/events"},
        not_old={"type": "http", "url": "https://h/sse"},
    )
    files, remote, old, told, not_old = load_mcp_servers(file)
    assert isinstance(files, MCPServerStdio)
    assert (files.command, files.args, files.env, files.cwd) == ("npx", ["-y", "fs", "/tmp"], {"A": "b"}, "/tmp")
    assert (files.id, files.tool_prefix) == ("files", "files")
    assert isinstance(remote, MCPServerStreamableHTTP)
    assert (remote.url, remote.headers) == ("https://h/mcp", {"X-Key": "k"})
    assert isinstance(old, MCPServerSSE)
    assert isinstance(told, MCPServerSSE)
    assert isinstance(not_old, MCPServerStreamableHTTP)


def test_environment_variables_and_defaults_are_filled_in_everywhere(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCP_TEST_TOKEN", "t0ken ${MCP_TEST_UNSET}")
    monkeypatch.delenv("MCP_TEST_UNSET", raising=False)
    write(
        file,
        a={"command": "${MCP_TEST_UNSET:-srv}", "args": ["--at=${MCP_TEST_UNSET:-http://h:1}/x", "$HOME"]},
        b={"url": "http://h/mcp", "headers": {"Authorization": "Bearer ${MCP_TEST_TOKEN:-none}"}},
        c={"command": "srv", "env": {"EMPTY": "${MCP_TEST_UNSET:-}"}},
    )
    a, b, c = load_mcp_servers(str(file))
    assert isinstance(a, MCPServerStdio)
    assert (a.command, a.args) == ("srv", ["--at=http://h:1/x", "$HOME"])
    assert isinstance(b, MCPServerStreamableHTTP)
    assert b.headers == {"Authorization": "Bearer t0ken ${MCP_TEST_UNSET}"}
    assert isinstance(c, MCPServerStdio)
    assert c.env == {"EMPTY": ""}


def test_a_variable_that_is_not_set_is_named_with_server_and_key(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MCP_TEST_UNSET", raising=False)
    write(file, db={"command": "srv", "args": ["ok", "${MCP_TEST_UNSET}"]})
    with pytest.raises(ValueError, match=r"mcp\.json, server 'db', key 'args\.1': .* MCP_TEST_UNSET is not set"):
        load_mcp_servers(file)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"command": "srv", "args": "-x"}, r"server 'db', key 'args': Input should be a valid list"),
        ({"command": "srv", "env": {"PORT": 1}}, r"server 'db', key 'env\.PORT': Input should be a valid string"),
        ({}, r"server 'db': needs either `command` or `url`"),
        ({"command": "srv", "url": "http://h"}, r"server 'db': needs either `command` or `url`"),
        ({"type": "stdio", "url": "http://h"}, r"server 'db': `type` 'stdio' does not go with `url`"),
        ({"type": "carrier-pigeon", "url": "http://h"}, r"server 'db', key 'type': Input should be 'stdio'"),
        ("srv", r"server 'db': Input should be a valid dictionary"),
    ],
)
def test_mistakes_are_named_with_server_and_key(file: Path, entry: Any, message: str) -> None:
    write(file, ok={"command": "srv"}, db=entry)
    with pytest.raises(ValueError, match=message):
        load_mcp_servers(file)


def test_mistakes_do_not_show_values_that_may_be_secrets(file: Path) -> None:
    write(file, db={"url": "http://h", "headers": {"Authorization": ["s3cret"]}})
    with pytest.raises(ValueError, match=r"headers\.Authorization") as mistake:
        load_mcp_servers(file)
    assert "s3cret" not in str(mistake.value)


def test_a_file_that_is_missing_or_something_else_is_named(file: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_mcp_servers(file)
    file.write_text("{")
    with pytest.raises(ValueError, match=r"mcp\.json is not JSON"):
        load_mcp_servers(file)
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"mcp\.json has no object `mcpServers`"):
        load_mcp_servers(file)


async def test_servers_of_an_agent_spec_are_described_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_TEST_PYTHON", sys.executable)
    entry = {"command": "${HOLDFAST_TEST_PYTHON}", "args": ["-m", "app.agents.demo.mcp_server"]}
    model = TestModel(call_tools=[])
    agent = Agent.from_spec({"capabilities": [{"MCPServers": {"clock": entry}}]}, model=model)
    async with agent:
        await agent.run("hello")
    parameters = model.last_model_request_parameters
    assert parameters is not None
    names = [tool.name for tool in parameters.function_tools]
    assert names and all(name.startswith("clock_") for name in names)


def test_a_server_of_an_agent_spec_that_is_wrong_is_named() -> None:
    for entry, problem in (({}, "'clock': needs either"), ({"command": "${NO_SUCH_VARIABLE}"}, "NO_SUCH_VARIABLE")):
        with pytest.raises(UserError, match=problem):
            Agent.from_spec({"model": "test", "capabilities": [{"MCPServers": {"clock": entry}}]})
