"""Postgres goes away and comes back: requests fail fast, say so, and work again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from app.api.security import AccessRules
from app.db.engine import database_name, libpq_url, with_database
from tests.api.conftest import Stage, make_test_app, serving, start, until
from tests.api.relay import Relay
from tests.api.test_events import events_of

pytestmark = [pytest.mark.alone]

SOME_ID = "0198c0de-0000-7000-8000-000000000000"
REQUESTS = [
    ("POST", "/api/runs"),
    ("GET", "/api/runs"),
    ("GET", f"/api/runs/{SOME_ID}"),
    ("GET", f"/api/runs/{SOME_ID}?wait=5"),
    ("DELETE", f"/api/runs/{SOME_ID}"),
    ("GET", f"/api/runs/{SOME_ID}/steps"),
    ("GET", f"/api/runs/{SOME_ID}/messages"),
    ("GET", f"/api/runs/{SOME_ID}/events"),
    ("POST", f"/api/runs/{SOME_ID}/messages"),
    ("POST", f"/api/runs/{SOME_ID}/cancel"),
    ("POST", f"/api/runs/{SOME_ID}/resume"),
    ("POST", f"/api/runs/{SOME_ID}/fork"),
    ("POST", f"/api/runs/{SOME_ID}/approvals/c"),
    ("GET", "/api/approvals"),
    ("GET", f"/api/conversations/{SOME_ID}"),
    ("GET", "/metrics"),
    ("GET", "/readyz"),
]
BODIES = {
    "/api/runs": {"agent": "demo", "prompt": "x"},
    f"/api/runs/{SOME_ID}/fork": {"from_step": 1},
    f"/api/runs/{SOME_ID}/approvals/c": {"approve": True},
    f"/api/runs/{SOME_ID}/messages": {"content": "x"},
}
RESUME = {"tool_call_id": "c", "result": 1}


@pytest.fixture
def wire(database_url: str) -> Iterator[Relay]:
    relay = Relay(database_url)
    yield relay
    relay.cut()


@pytest.fixture
def wired(wire: Relay) -> Iterator[httpx.Client]:
    with serving(make_test_app(wire.url)) as url, httpx.Client(base_url=url, timeout=20) as client:
        assert client.get("/readyz").status_code == 200
        yield client
        wire.mend()


def ask(http: httpx.Client, method: str, path: str) -> httpx.Response:
    return http.request(method, path, json=BODIES.get(path, RESUME) if method == "POST" else None)


@pytest.mark.parametrize("outage", ["cut", "freeze"])
def test_every_endpoint_answers_503_in_three_seconds(wired: httpx.Client, wire: Relay, outage: str) -> None:
    getattr(wire, outage)()
    answers: dict[tuple[str, str], tuple[httpx.Response, float]] = {}

    def measure(method: str, path: str) -> None:
        began = time.monotonic()
        answers[method, path] = ask(wired, method, path), time.monotonic() - began

    threads = [threading.Thread(target=measure, args=request) for request in REQUESTS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert set(answers) == set(REQUESTS)
    for request, (response, seconds) in answers.items():
        assert (response.status_code, response.json()["type"]) == (503, "database_unavailable"), request
        assert response.headers["retry-after"] == "2"
        assert seconds < 3.0, request
    assert wired.get("/livez").status_code == 200
    assert wired.get("/api/agents/demo").status_code == 200


@pytest.mark.parametrize("outage", ["cut", "freeze"])
def test_everything_goes_on_when_postgres_is_back(wired: httpx.Client, wire: Relay, outage: str) -> None:
    start(wired)
    getattr(wire, outage)()
    assert wired.get("/readyz").status_code == 503
    wire.mend()
    until(lambda: wired.get("/readyz").status_code == 200)
    run_id = start(wired)["run_id"]
    assert wired.post(f"/api/runs/{run_id}/cancel").json()["status"] == "cancelled"


def test_a_follower_misses_nothing_over_an_outage(wired: httpx.Client, wire: Relay, database_url: str) -> None:
    run_id = start(wired)["run_id"]
    seen: list[Any] = []
    follower = threading.Thread(target=events_of, args=[wired, run_id, seen])
    follower.start()
    with psycopg.connect(libpq_url(database_url), autocommit=True) as connection:
        stage = Stage(connection)
        stage.say(run_id, "before")
        until(lambda: len(seen) == 2)
        wire.cut()
        stage.say(run_id, "meanwhile")
        until(lambda: wired.get("/readyz").status_code == 503)
        wire.mend()
        stage.succeed(run_id)
    follower.join(15)
    assert [event["seq"] for event in seen] == [1, 2, 3, 4]


def test_a_key_that_cannot_be_looked_up_is_answered_503_and_the_bootstrap_key_goes_on(wire: Relay) -> None:
    rules = AccessRules(max_body_bytes=30_000, api_key="bootstrap-key")
    with serving(make_test_app(wire.url, rules)) as url, httpx.Client(base_url=url, timeout=20) as http:
        wire.cut()
        stored = http.get("/api/agents", headers={"x-api-key": "hf_0123456789ab_secret"})
        assert (stored.status_code, stored.json()["type"]) == (503, "database_unavailable")
        assert http.get("/api/agents/demo", headers={"x-api-key": "bootstrap-key"}).status_code == 200
        wire.mend()


def test_a_process_may_start_while_postgres_is_down(wire: Relay) -> None:
    wire.cut()
    with serving(make_test_app(wire.url)) as url, httpx.Client(base_url=url, timeout=20) as http:
        problem = http.get("/readyz")
        assert (problem.status_code, problem.json()["type"]) == (503, "database_unavailable")
        wire.mend()
        until(lambda: http.get("/readyz").status_code == 200)


def test_a_database_that_is_not_migrated_is_named(unmigrated_database_url: str, postgres: str) -> None:
    create = sql.SQL("create database {}").format(sql.Identifier(database_name(unmigrated_database_url)))
    with psycopg.connect(libpq_url(with_database(postgres, "postgres")), autocommit=True) as connection:
        connection.execute(create)
    with serving(make_test_app(unmigrated_database_url)) as url, httpx.Client(base_url=url, timeout=20) as http:
        for method, path in [("GET", "/readyz"), ("POST", "/api/runs"), ("GET", "/api/runs")]:
            problem = ask(http, method, path)
            assert (problem.status_code, problem.json()["type"]) == (503, "not_migrated"), path
            assert "holdfast migrate" in problem.json()["fix"]
