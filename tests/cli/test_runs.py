"""`holdfast run` and `holdfast runs …` as processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import Stage, start, until

Holdfast = Callable[..., subprocess.CompletedProcess[str]]


def environment(url: str) -> dict[str, str]:
    return {**os.environ, "HOLDFAST_URL": url}


@pytest.fixture
def holdfast(service_url: str) -> Holdfast:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment(service_url), timeout=30, check=False
        )

    return call


class Worker:
    """Finishes the next run that is started, the way it is told."""

    def __init__(self, http: httpx.Client, finish: Callable[[str], None]) -> None:
        self._http, self._finish = http, finish
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(20)

    def _work(self) -> None:
        found = until(lambda: self._http.get("/api/runs", params={"status": "queued"}).json()["runs"], 20)
        self._finish(found[0]["run_id"])


def test_run_prints_the_answer_alone_on_stdout(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    with Worker(http, lambda run_id: stage.succeed(run_id, "the answer")):
        result = holdfast("run", "demo", "hello")
    assert (result.returncode, result.stdout) == (0, "the answer\n")
    assert "· 0.0 s  queued" in result.stderr
    assert "· succeeded: 0 steps, 0 tokens" in result.stderr


def test_run_as_json_prints_the_run(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    with Worker(http, stage.succeed):
        result = holdfast("run", "demo", "hello", "--json")
    assert json.loads(result.stdout)["status"] == "succeeded"


def test_a_run_that_fails_exits_with_1(
    holdfast: Holdfast, http: httpx.Client, stage: Stage, database: psycopg.Connection
) -> None:
    def fail(run_id: str) -> None:
        error = json.dumps({"type": "ValueError", "message": "no such city", "step": 2})
        database.execute(
            "insert into dbos.workflow_output (workflow_uuid, error) values (%s, %s)",
            [run_id, error],
        )
        stage.set_status(run_id, "ERROR")

    with Worker(http, fail):
        result = holdfast("run", "demo", "hello")
    assert (result.returncode, result.stdout) == (1, "")
    assert "failed" in result.stderr


def test_a_run_that_waits_exits_with_3(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    with Worker(http, lambda run_id: stage.wait_for_outcome(run_id, "c1")):
        result = holdfast("run", "demo", "hello")
    assert (result.returncode, result.stdout) == (3, "")
    assert "waiting: pay (outcome_unknown), tool call c1" in result.stderr
    assert " c1 --result JSON, or --error WHY, or --run-again" in result.stderr


def test_a_run_whose_provider_pauses_is_followed_to_its_end(
    holdfast: Holdfast, http: httpx.Client, stage: Stage
) -> None:
    def pause_then_finish(run_id: str) -> None:
        stage.wait_for_provider(run_id)
        stage.succeed(run_id, "late")

    with Worker(http, pause_then_finish):
        result = holdfast("run", "demo", "hello")
    assert (result.returncode, result.stdout) == (0, "late\n")
    assert "waiting: retry_at" in result.stderr


def test_detached_runs_print_their_id(holdfast: Holdfast, http: httpx.Client) -> None:
    first = holdfast("run", "demo", "hello", "--detach", "--idempotency-key", "k1")
    again = holdfast("run", "demo", "hello", "--detach", "--idempotency-key", "k1")
    assert (first.returncode, first.stdout) == (0, again.stdout)
    assert http.get(f"/api/runs/{first.stdout.strip()}").json()["status"] == "queued"


def test_ctrl_c_detaches_and_says_how_to_come_back(service_url: str, http: httpx.Client) -> None:
    command = [sys.executable, "-m", "app.cli", "run", "demo", "hello"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(service_url)
    ) as process:
        assert process.stderr is not None
        run_id = process.stderr.readline().removeprefix("run ").strip()
        assert process.stderr.readline() == "· 0.0 s  queued\n"
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)
    assert process.returncode == 130
    assert f"holdfast runs follow {run_id}" in rest
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"


def test_follow_comes_back_to_a_run(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.succeed(run_id, "late answer")
    result = holdfast("runs", "follow", run_id)
    assert (result.returncode, result.stdout) == (0, "late answer\n")


def test_lists_are_plain_lines_without_a_terminal(holdfast: Holdfast, http: httpx.Client) -> None:
    run_id = start(http)["run_id"]
    header, line = holdfast("runs", "list").stdout.splitlines()
    assert header.split("\t")[:3] == ["run_id", "agent", "status"]
    assert line.split("\t")[:3] == [run_id, "demo", "queued"]
    assert json.loads(holdfast("runs", "list", "--json").stdout)["runs"][0]["run_id"] == run_id
    assert json.loads(holdfast("runs", "list", "--output", "json").stdout)["runs"][0]["run_id"] == run_id
    assert holdfast("runs", "list", "--status", "failed").stdout.splitlines() == [header]


def test_a_long_list_says_how_to_go_on(holdfast: Holdfast, http: httpx.Client) -> None:
    older, newer = [start(http)["run_id"] for _ in range(2)]
    first = holdfast("runs", "list", "--limit", "1")
    assert newer in first.stdout
    cursor = first.stderr.removeprefix("more: --cursor ").strip()
    assert older in holdfast("runs", "list", "--limit", "1", "--cursor", cursor).stdout


def test_a_run_its_steps_and_events_can_be_looked_at(holdfast: Holdfast, http: httpx.Client) -> None:
    run_id = start(http)["run_id"]
    assert "status\tqueued" in holdfast("runs", "get", run_id).stdout
    assert json.loads(holdfast("runs", "get", run_id, "--json").stdout)["prompt"] == "hello"
    assert json.loads(holdfast("runs", "steps", run_id, "--json").stdout)["steps"] == []
    assert json.loads(holdfast("runs", "messages", run_id, "--json").stdout)["messages"] == []
    events: list[Any] = [json.loads(line) for line in holdfast("runs", "events", run_id).stdout.splitlines()]
    assert [event["type"] for event in events] == ["run_queued"]


def test_agents_are_listed(holdfast: Holdfast) -> None:
    header, line = holdfast("agents").stdout.splitlines()
    assert (header.split("\t")[0], line.split("\t")[:2]) == ("name", ["demo", "test:test"])
    assert json.loads(holdfast("agents", "--json").stdout)["agents"][0]["tools"] == ["add"]


def test_cancel_stops_a_run(holdfast: Holdfast, http: httpx.Client) -> None:
    run_id = start(http)["run_id"]
    assert holdfast("runs", "cancel", run_id).stdout == "cancelled\n"
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "cancelled"


def test_send_says_something_to_a_run_once(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    first = holdfast("runs", "send", run_id, "be quick", "--idempotency-key", "k")
    again = holdfast("runs", "send", run_id, "be quick", "--idempotency-key", "k", "--json")
    shown = json.loads(again.stdout)
    assert (first.returncode, first.stdout) == (0, f"{shown['message_id']}\n")
    assert (shown["content"], shown["priority"]) == ("be quick", "asap")
    idle = holdfast("runs", "send", run_id, "say thanks", "--when-idle", "--json")
    assert json.loads(idle.stdout)["priority"] == "when_idle"
    stage.succeed(run_id)
    late = holdfast("runs", "send", run_id, "hello?")
    assert late.returncode == 2
    assert "takes no more messages" in late.stderr


def test_what_the_service_refuses_exits_with_2_and_the_fix(holdfast: Holdfast) -> None:
    result = holdfast("run", "nobody", "hello")
    assert (result.returncode, result.stdout) == (2, "")
    assert "nobody" in result.stderr
    assert "fix: Use one of: demo." in result.stderr


def test_a_service_that_is_not_there_exits_with_2(holdfast: Holdfast) -> None:
    result = holdfast("runs", "list", "--url", "http://127.0.0.1:9")
    assert result.returncode == 2
    assert "holdfast serve" in result.stderr


def test_wrong_usage_exits_with_2(holdfast: Holdfast) -> None:
    assert holdfast("run", "demo").returncode == 2


def test_the_command_line_is_light_to_import() -> None:
    heavy = "{'httpx', 'fastapi', 'dbos', 'sqlalchemy', 'pydantic', 'rich.table'}"
    code = f"import sys, app.cli; sys.exit(repr(found) if (found := {heavy} & sys.modules.keys()) else 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
