"""Dependencies and output schemas of runs: checked at once, kept with the run, and what agents make of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import until
from tests.api.guest_agents import CALLS, GO, SECRET
from tests.cli.test_processes import Start, launch

__all__ = ["launch"]

NAMED = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def put(http: httpx.Client, **spec: Any) -> httpx.Response:
    return http.put("/api/agents/poet", json={"model": "test", "instructions": "For {{name}}.", **spec})


def ask(http: httpx.Client, agent: str = "poet", **body: Any) -> httpx.Response:
    return http.post("/api/runs", json={"agent": agent, "prompt": "x", **body}, headers={"Prefer": "wait=40"})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "deps.name"),
        ({"deps": {}}, "deps.name"),
        ({"deps": {"name": 3}}, "deps.name"),
        ({"deps": {"name": "Ann", "age": "old"}}, "deps.age"),
    ],
)
def test_deps_that_do_not_fit_the_schema_are_refused_by_field(
    http: httpx.Client, body: dict[str, Any], field: str
) -> None:
    put(http, deps_schema=NAMED).raise_for_status()
    response = ask(http, **body)
    problem = response.json()
    assert (response.status_code, problem["type"], problem["field"]) == (422, "invalid_deps", field)
    assert "deps_schema" in problem["fix"]
    assert http.get("/api/agents/poet").json()["deps_schema"] == NAMED


def test_a_fork_keeps_deps_and_output_schema(http: httpx.Client, database: psycopg.Connection) -> None:
    put(http, deps_schema=NAMED).raise_for_status()
    asked = {"deps": {"name": "Ann"}, "output_schema": CITY}
    run = http.post("/api/runs", json={"agent": "poet", "prompt": "x", **asked}).json()
    fork = http.post(f"/api/runs/{run['run_id']}/fork", json={}).json()
    stored = database.execute("select inputs from dbos.workflow_input where workflow_uuid = %s", [fork["run_id"]])
    (text,) = stored.fetchone() or ("",)
    assert '"name":"Ann"' in text.replace(" ", "")
    assert '"city"' in text


@pytest.mark.parametrize(
    "spec",
    [
        {"deps_schema": {"type": 3, "properties": {"name": {}}}},
        {"instructions": "x", "output_schema": {"type": "object", "properties": 1}},
    ],
)
def test_a_spec_with_a_broken_schema_is_refused(http: httpx.Client, spec: dict[str, Any]) -> None:
    response = put(http, **spec)
    assert (response.status_code, response.json()["type"]) == (422, "invalid_spec")
    assert "_schema" in response.json()["detail"]


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.timeout(150)
def test_runs_get_their_deps_and_output_type_also_after_a_crash(
    launch: Start, database: psycopg.Connection, tmp_path: Path
) -> None:
    calls, go = tmp_path / "calls", tmp_path / "go"
    settings = {"HOLDFAST_AGENTS": "app.agents,tests.api.guest_agents", CALLS: str(calls), GO: str(go)}
    api = launch("api", **settings)
    with httpx.Client(base_url=api.url, timeout=60) as http:
        api.ready()
        doomed = launch("worker", **settings)
        assert ask(http, "judge", output_schema=CITY).json()["type"] == "invalid_output_schema"
        run_id = http.post("/api/runs", json={"agent": "guest", "prompt": "x", "deps": {"name": "Ann"}}).json()[
            "run_id"
        ]
        attempt = "select 1 from holdfast.attempts where run_id = %s"
        until(lambda: database.execute(attempt, [run_id]).fetchone(), seconds=40)
        os.kill(doomed.process.pid, signal.SIGKILL)
        go.touch()
        launch("worker", **settings)
        run = http.get(f"/api/runs/{run_id}?wait=60").json()
        assert (run["status"], run["output"]) == ("succeeded", f"Ann {len(SECRET)}")
        assert calls.read_text().splitlines() == ["{'name': 'Ann'}"] * 2

        lost = ask(http, "guest", deps={"name": "nobody"}).json()
        assert (lost["status"], lost["error"]["type"]) == ("failed", "LookupError")
        assert "no such guest" in lost["error"]["message"]

        put(http, deps_schema=NAMED, output_schema=None).raise_for_status()
        answer = ask(http, deps={"name": "Ann"}, output_schema=CITY).json()
        assert answer["status"] == "succeeded", answer
        assert answer["output"] == {"city": "a"}
        messages = http.get(f"/api/runs/{answer['run_id']}/messages").text
        assert "For Ann." in messages
        other = {**CITY, "properties": {"city": {"type": "string", "pattern": "^Z"}}}
        missed = ask(http, deps={"name": "Ann"}, output_schema=other).json()
        assert (missed["status"], missed["error"]["type"]) == ("failed", "UnexpectedModelBehavior")
    for table in ("dbos.workflow_input", "dbos.operation_outputs", "dbos.workflow_output", "holdfast.run_events"):
        query = f"select 1 from {table} found where found::text like %s"
        assert database.execute(query.encode(), [f"%{SECRET}%"]).fetchone() is None, table
