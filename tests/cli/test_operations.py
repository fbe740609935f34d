"""`holdfast doctor` and `holdfast workers` where all is well, and where something is not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from app.db.engine import database_name
from tests.conftest import server_connection

ODD_AGENTS = """
from app.ai import Agent
from app.ai.mcp import MCPServerStdio
from app.ai.models.fallback import FallbackModel
from app.ai.models.openai import OpenAIChatModel
from app.ai.providers.openai import OpenAIProvider

class Silent(OpenAIProvider):
    name = "silent"

silent = OpenAIChatModel("m", provider=Silent(base_url="http://127.0.0.1:9", api_key="the-secret-key"))
AGENTS = {
    "a": Agent("openai:gpt-5.2", defer_model_check=True),
    "b": Agent("nix:nox", defer_model_check=True),
    "c": Agent(FallbackModel(silent, "test"), toolsets=[MCPServerStdio("/bin/false", [], id="broken")]),
}
"""


def holdfast(url: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *arguments]
    given = {**os.environ, "DATABASE_URL": url, "HOLDFAST_AGENTS": "tests.runs.clerk", **environment}
    given.pop("OPENAI_API_KEY", None)
    return subprocess.run(command, capture_output=True, text=True, env=given, timeout=60, check=False)


def register(database: psycopg.Connection, executor_id: str, host: str) -> None:
    """Add a worker that will be heard from for a while yet: a command may take its time."""
    database.execute(
        "insert into holdfast.workers (executor_id, application_version, host, pid, heartbeat_at)"
        " values (%s, 'holdfast-1', %s, 7, clock_timestamp() + interval '1 minute')",
        [executor_id, host],
    )


@pytest.fixture
def worker(database: psycopg.Connection) -> None:
    register(database, "w1", "h")


@pytest.mark.usefixtures("worker")
def test_a_service_that_is_well_has_nothing_to_fix(database_url: str) -> None:
    result = holdfast(database_url, "doctor", HOLDFAST_AGENTS="app.agents")
    assert (result.returncode, "fix:" in result.stdout) == (0, False), result.stdout
    things = [f"{line[6:].split(': ')[0]}:" for line in result.stdout.splitlines()]
    assert things == [
        f"{thing}:"
        for thing in (
            "settings",
            "agents",
            "model demo:demo",
            "MCP server time",
            "database",
            "connection",
            "notifications",
            "clock",
            "migrations",
            "workers",
        )
    ]
    assert "demo" in result.stdout


def test_each_thing_that_is_not_well_comes_with_a_fix(database_url: str, unmigrated_database_url: str) -> None:
    nobody_works = holdfast(database_url, "doctor")
    assert nobody_works.returncode == 1
    assert "fix: Start one with `holdfast worker`" in nobody_works.stdout
    assert "fix: Check DATABASE_URL" in holdfast("postgresql://nobody@127.0.0.1:9/none", "doctor").stdout
    wrong_agents = holdfast(database_url, "doctor", HOLDFAST_AGENTS="no.such.module")
    assert "FAIL  agents: " in wrong_agents.stdout
    with server_connection(database_url) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(database_name(unmigrated_database_url))))
    assert "fix: Run `holdfast migrate`" in holdfast(unmigrated_database_url, "doctor").stdout


def test_models_and_mcp_servers_of_agents_are_tried(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd_agents.py").write_text(ODD_AGENTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.getcwd(), str(tmp_path)]))
    shown = holdfast(database_url, "doctor", HOLDFAST_AGENTS="odd_agents", GROQ_API_KEY="the-secret-key").stdout
    assert "FAIL  model openai:gpt-5.2: OpenAI needs an API key: set OPENAI_API_KEY" in shown
    assert "FAIL  model nix:nox: Unknown provider: nix" in shown
    assert "FAIL  model silent:m: http://127.0.0.1:9/ does not answer" in shown
    assert "ok    model test:test: Needs no server." in shown
    assert "FAIL  MCP server broken: " in shown
    assert "fix: Start it, or correct how it is reached: /bin/false" in shown
    assert "the-secret-key" not in shown


def test_a_worker_of_this_host_can_be_asked_for(database_url: str, database: psycopg.Connection) -> None:
    register(database, "w2", socket.gethostname())
    assert holdfast(database_url, "workers", "--here").returncode == 0
    database.execute("update holdfast.workers set heartbeat_at = clock_timestamp() - interval '1 hour'")
    assert holdfast(database_url, "workers", "--here").returncode == 1


@pytest.mark.usefixtures("worker")
def test_workers_are_listed(database_url: str) -> None:
    (listed,) = json.loads(holdfast(database_url, "workers", "--json").stdout)["workers"]
    assert (listed["executor_id"], listed["pid"], listed["runs"]) == ("w1", 7, 0)
    header, line = holdfast(database_url, "workers").stdout.splitlines()
    assert (header.split("\t")[0], line.split("\t")[0]) == ("executor_id", "w1")
