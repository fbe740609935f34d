"""/metrics: what Prometheus sees of the service."""

from __future__ import annotations

import httpx
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from tests.api.conftest import Stage, start


def scrape(http: httpx.Client) -> dict[tuple[str, str | None], float]:
    response = http.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"
    return {
        (sample.name.removeprefix("holdfast_"), next(iter(sample.labels.values()), None)): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_an_idle_service_shows_zeros(http: httpx.Client) -> None:
    found = scrape(http)
    assert {value for (name, _), value in found.items() if not name.startswith("process_")} == {0.0}
    assert found["process_resident_memory_bytes", None] > 0
    assert {("runs", "queued"), ("workers", None), ("tokens_last_minute", "input")} <= set(found)


def test_runs_steps_tokens_and_questions_are_counted(
    http: httpx.Client, stage: Stage, database: psycopg.Connection
) -> None:
    ids = [start(http)["run_id"] for _ in range(5)]
    stage.set_status(ids[0], "PENDING")
    stage.wait_for(ids[1], "c1", "c2")
    stage.succeed(ids[2])
    usage = {"input_tokens": 11, "output_tokens": 7}
    stage.record(ids[2], 1, "model", {"kind": "model", "outcome": "returned", "response": {"usage": usage}})
    stage.record(ids[2], 2, "tool:add", {"kind": "tool", "outcome": "returned"})
    database.execute("update dbos.operation_outputs set completed_at_epoch_ms = holdfast.now_ms()")
    database.execute(
        "update dbos.workflow_status set updated_at = holdfast.now_ms() - 90000 where workflow_uuid = %s", [ids[3]]
    )
    found = scrape(http)
    assert [found["runs", status] for status in ("queued", "running", "waiting")] == [2, 1, 1]
    assert 90 <= found["queue_age_seconds", None] < 100
    assert found["runs_finished_last_minute", "succeeded"] == 1
    assert (found["steps_finished_last_minute", "model"], found["steps_finished_last_minute", "tool"]) == (1, 1)
    assert (found["tokens_last_minute", "input"], found["tokens_last_minute", "output"]) == (11, 7)
    assert found["questions_open", "approval"] == 2


def test_takeovers_are_counted(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.set_status(run_id, "PENDING")
    stage.set_status(run_id, "ENQUEUED")
    assert scrape(http)["takeovers_last_minute", None] == 1


def test_followers_are_counted_while_they_follow(http: httpx.Client) -> None:
    run_id = start(http)["run_id"]
    with http.stream("GET", f"/api/runs/{run_id}/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        assert scrape(http)["followers", None] == 1
