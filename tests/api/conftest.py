"""A service over real HTTP on a database of its own. No worker: tests move runs from state to state themselves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from psycopg.types.json import Jsonb

from app.api.app import create_app
from app.api.security import AccessRules
from app.db.engine import dbos_url, libpq_url, make_engine
from app.db.migrate import migrations_current
from app.durable.client import RunClient
from app.runs.feed import EventFeed
from app.runs.records import AgentInfo
from app.runs.service import Limits, RunService
from tests.api.truth import Truth

MAX_PROMPT_BYTES = 10_000

DEMO = AgentInfo(
    name="demo",
    version="1",
    description="For tests.",
    model="test:test",
    output_type="str",
    tools=["add"],
    toolsets=[],
    deps_schema=None,
    takes_output_schema=True,
)


def make_test_app(url: str, rules: AccessRules | None = None, *, ping_seconds: float = 15.0) -> FastAPI:
    engine = make_engine(url)
    feed = EventFeed(engine, libpq_url(url))
    client = RunClient(dbos_url(url))
    service = RunService(
        engine=engine,
        client=client,
        feed=feed,
        agents={"demo": DEMO},
        limits=Limits(MAX_PROMPT_BYTES, timedelta(hours=24)),
        is_migrated=lambda: migrations_current(url),
        http_capabilities=("Thinking",),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        async with feed.listening():
            yield
        await client.close()
        await engine.dispose()

    rules = rules or AccessRules(max_body_bytes=30_000)
    return create_app(service, rules, lifespan=lifespan, ping_seconds=ping_seconds)


@contextmanager
def serving(app: FastAPI) -> Generator[str]:
    """The base URL of the application, served from another thread."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(15)
        assert not thread.is_alive()


def until(holds: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait for a condition; its value."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)
    return value


@pytest.fixture
def app(database_url: str) -> FastAPI:
    return make_test_app(database_url)


@pytest.fixture
def service_url(app: FastAPI) -> Iterator[str]:
    with serving(app) as url:
        yield url


@pytest.fixture
def http(app: FastAPI, service_url: str) -> Iterator[httpx.Client]:
    """A client that finds every answer in the OpenAPI document."""
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [Truth(app.openapi()).check]}
    with httpx.Client(base_url=service_url, timeout=20, event_hooks=hooks) as client:
        yield client


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(libpq_url(database_url), autocommit=True) as connection:
        yield connection


class Stage:
    """What workers would do to runs, as SQL."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def set_status(self, run_id: str, status: str) -> None:
        """Move the run to a DBOS status; the state event comes by the trigger."""
        finished = status in ("SUCCESS", "ERROR", "CANCELLED")
        self._connection.execute(
            "update dbos.workflow_status set status = %s, executor_id = 'w1', deduplication_id = "
            "case when %s then null else deduplication_id end, completed_at = case when %s then holdfast.now_ms() end "
            "where workflow_uuid = %s",
            [status, finished, finished, run_id],
        )

    def succeed(self, run_id: str, output: str = "done") -> None:
        """Finish the run with an output."""
        self._connection.execute(
            "insert into dbos.workflow_output (workflow_uuid, output) values (%s, %s)",
            [run_id, f'{{"status": "succeeded", "output": "{output}", "output_type": "str"}}'],
        )
        self.set_status(run_id, "SUCCESS")

    def wait_for_outcome(self, run_id: str, tool_call_id: str) -> None:
        """Park the run for the unknown outcome of a call."""
        self.wait_for(run_id, tool_call_id, kind="outcome_unknown")

    def wait_for(
        self, run_id: str, *tool_call_ids: str, kind: str = "approval", metadata: dict[str, Any] | None = None
    ) -> None:
        """Park the run for calls of `pay`, which takes an amount from 1."""
        parameters = {
            "type": "object",
            "properties": {"amount": {"type": "integer", "minimum": 1}},
            "required": ["amount"],
            "additionalProperties": False,
        }
        for tool_call_id in tool_call_ids:
            self._connection.execute(
                "insert into holdfast.approvals (run_id, step, tool_call_id, kind, tool, args, parameters, metadata)"
                " values (%s, 2, %s, %s, 'pay', '{\"amount\": 3}', %s, %s)",
                [run_id, tool_call_id, kind, Jsonb(parameters), metadata and Jsonb(metadata)],
            )
        self.set_status(run_id, "DELAYED")

    def wait_for_provider(self, run_id: str) -> None:
        """Park the run because its provider asked for a pause."""
        self._connection.execute(
            "insert into holdfast.attempts (run_id, step, attempt, kind, name, executor_id, owner, error)"
            " values (%s, 1, 1, 'model', 'model', 'w1', 'x', '{\"type\": \"ModelHTTPError\"}')",
            [run_id],
        )
        self.set_status(run_id, "DELAYED")

    def record(self, run_id: str, step: int, name: str, envelope: dict[str, Any]) -> None:
        """Record a step."""
        self._connection.execute(
            "insert into dbos.operation_outputs"
            " (workflow_uuid, function_id, function_name, output, serialization, retention_timestamp)"
            " values (%s, %s, %s, %s, 'holdfast_json_v1', holdfast.now_ms())",
            [run_id, step, name, json.dumps(envelope)],
        )

    def say(self, run_id: str, *texts: str) -> None:
        """Append text deltas as a model step would, with the hint that tells the tailers."""
        events = [{"type": "part_delta", "step": 1, "attempt": 1, "data": {"text": text}} for text in texts]
        with self._connection.transaction():
            self._connection.execute("select holdfast.number_events(%s, %s)", [run_id, Jsonb(events)])
        self._connection.execute("select pg_notify('holdfast_events', %s)", [run_id])


@pytest.fixture
def stage(database: psycopg.Connection) -> Stage:
    return Stage(database)


def start(http: httpx.Client, **body: Any) -> dict[str, Any]:
    """Start a run of the demo agent."""
    response = http.post("/api/runs", json={"agent": "demo", "prompt": "hello", **body})
    assert response.status_code == 202, response.text
    return response.json()
