"""Agents as data over HTTP: put, versions, and runs that keep theirs."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import until
from tests.cli.test_processes import Start, launch

__all__ = ["launch"]

POET = {"model": "test:test", "instructions": "Answer in verse.", "description": "A poet."}


def put(http: httpx.Client, agent: str, /, **spec: Any) -> httpx.Response:
    return http.put(f"/api/agents/{agent}", json=spec)


def test_each_change_of_an_agent_is_a_version(http: httpx.Client) -> None:
    first = put(http, "poet", **POET)
    assert (first.status_code, first.json()["version"]) == (201, "1")
    again = http.put(
        "/api/agents/poet",
        content="model: test:test\ndescription: A poet.\ninstructions: Answer in verse.\n",
        headers={"content-type": "application/yaml"},
    )
    assert (again.status_code, again.json()) == (200, first.json())
    second = put(http, "poet", **POET, retries=2)
    assert (second.status_code, second.json()["version"]) == (201, "2")
    back = put(http, "poet", **POET)
    assert (back.status_code, back.json()["version"]) == (201, "3")
    found = http.get("/api/agents/poet").json()
    assert [version["version"] for version in found["versions"]] == [3, 2, 1]
    assert found["versions"][2]["spec"] == POET
    assert found["versions"][0]["created_by"] == "anonymous"
    assert [agent["name"] for agent in http.get("/api/agents").json()["agents"]] == ["demo", "poet"]


def test_a_run_is_pinned_to_the_version_it_was_started_with(http: httpx.Client) -> None:
    put(http, "poet", **POET)
    run = http.post("/api/runs", json={"agent": "poet", "prompt": "x"}).json()
    put(http, "poet", **POET, retries=2)
    later = http.post("/api/runs", json={"agent": "poet", "prompt": "x"}).json()
    fork = http.post(f"/api/runs/{run['run_id']}/fork", json={}).json()
    assert [one["agent_version"] for one in (run, later, fork)] == ["1", "2", "1"]


@pytest.mark.parametrize(
    ("spec", "problem_type", "told"),
    [
        ({**POET, "instruction": "x"}, "invalid_spec", "instruction"),
        ({"instructions": "x"}, "invalid_spec", "model"),
        ({**POET, "name": "other"}, "invalid_spec", "other"),
        ({**POET, "instructions": "{{#if x}}"}, "invalid_spec", "if"),
        (
            {**POET, "instructions": "Dear {{nam}}", "deps_schema": {"type": "object", "properties": {"name": {}}}},
            "invalid_spec",
            "nam",
        ),
        ({**POET, "capabilities": [{"MCP": "http://10.0.0.1/mcp"}]}, "capability_not_allowed", "MCP"),
        ({**POET, "instructions": "a\0b"}, "unstorable_value", "NUL"),
    ],
)
def test_a_wrong_spec_is_refused_with_what_is_wrong(
    http: httpx.Client, spec: dict[str, Any], problem_type: str, told: str
) -> None:
    response = put(http, "poet", **spec)
    problem = response.json()
    assert (response.status_code, problem["type"]) == (422, problem_type), problem
    assert told in problem["detail"]
    assert problem["fix"]
    assert http.get("/api/agents/poet").status_code == 404


def test_an_agent_of_a_file_is_not_changed_over_http(http: httpx.Client) -> None:
    response = put(http, "demo", **POET)
    assert (response.status_code, response.json()["type"]) == (409, "agent_is_code")
    assert http.get("/api/agents/demo").json()["versions"] == []


def test_specs_are_json_or_yaml(http: httpx.Client) -> None:
    for media_type in ("text/plain", "application/x-www-form-urlencoded"):
        response = http.put("/api/agents/poet", content="model: x", headers={"content-type": media_type})
        assert response.status_code == 415
    for content in (b"{", b"[1]", b"\xff", b""):
        response = http.put("/api/agents/poet", content=content, headers={"content-type": "application/json"})
        assert (response.status_code, response.json()["type"]) == (422, "invalid_spec")
    run = http.post("/api/runs", content="agent: demo", headers={"content-type": "application/yaml"})
    assert run.status_code == 415


@contextmanager
def serving_model() -> Generator[tuple[str, threading.Event]]:
    """A model of the OpenAI chat API that answers with its instructions, once it may."""
    go = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            go.wait(60)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.end_headers()
            with suppress(OSError):  # its worker may be dead
                for delta, reason in (({"content": asked["messages"][0]["content"]}, None), ({}, "stop")):
                    choice = {"index": 0, "delta": delta, "finish_reason": reason}
                    chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "any"}
                    self.wfile.write(b"data: " + json.dumps({**chunk, "choices": [choice]}).encode() + b"\n\n")
                self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", go
    finally:
        go.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_run_that_is_taken_over_keeps_its_version(launch: Start, database: psycopg.Connection) -> None:
    api = launch("api")
    with serving_model() as (model_url, go), httpx.Client(base_url=api.url, timeout=60) as http:
        settings = {"OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "none"}
        api.ready()
        doomed = launch("worker", **settings)
        put(http, "poet", model="openai-chat:any", instructions="first").raise_for_status()
        run_id = http.post("/api/runs", json={"agent": "poet", "prompt": "x"}).json()["run_id"]
        until(
            lambda: database.execute("select 1 from holdfast.attempts where run_id = %s", [run_id]).fetchone(),
            seconds=40,
        )
        put(http, "poet", model="openai-chat:any", instructions="second").raise_for_status()
        os.kill(doomed.process.pid, signal.SIGKILL)
        go.set()
        launch("worker", **settings)
        run = http.get(f"/api/runs/{run_id}?wait=60").json()
        later = http.post("/api/runs", json={"agent": "poet", "prompt": "x"}, headers={"Prefer": "wait=30"}).json()
    assert (run["status"], run["output"], run["agent_version"]) == ("succeeded", "first", "1")
    assert (later["output"], later["agent_version"]) == ("second", "2")
