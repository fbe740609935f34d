"""Frozen workers, a Postgres restart, and stopping: what a running service meets."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db import embedded
from app.db.engine import with_database
from app.db.migrate import migrate
from app.durable.migrations import migrate_dbos
from tests.crash.cluster import Cluster, until

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(180)]


async def test_a_frozen_worker_that_comes_back_stores_nothing(cluster: Cluster) -> None:
    cluster.environment["HOLDFAST_TAKEOVER_SECONDS"] = "3"
    frozen = await cluster.start_worker()
    run_id = await cluster.start_run("patient", "40")
    await cluster.effect("patient-start")
    healthy = await cluster.start_worker()
    frozen.signal(signal.SIGSTOP)

    async def second_attempt() -> bool:
        return any(event["attempt"] == 2 for event in await cluster.events(run_id))

    await until(second_attempt, "the takeover")
    frozen.signal(signal.SIGCONT)
    assert await frozen.ended() == 1, "a worker whose runs were taken over ends"
    run = await cluster.finished(run_id)
    assert run["output"] == "".join(f"{number} " for number in range(40))

    events = await cluster.events(run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    taken = next(event["seq"] for event in events if event["type"] == "run_taken_over")
    assert all(event["attempt"] != 1 for event in events if event["seq"] > taken)
    assert {step["attempt"] for step in await cluster.steps(run_id)} == {2}
    ends = [effect["pid"] for effect in cluster.effects() if effect["name"] == "patient-end"]
    assert ends == [healthy.pid], "the frozen worker's stream was closed, not read to its end"


@pytest.fixture
async def restartable(tmp_path: Path) -> AsyncIterator[tuple[Cluster, embedded.EmbeddedPostgres]]:
    """A cluster on a server of its own, because a restart concerns everybody on it."""
    with embedded.attach(throwaway=True) as server:
        url = with_database(server.url, "restarted")
        migrate(url, migrate_dbos=migrate_dbos)
        async with Cluster(url, tmp_path) as cluster:
            yield cluster, server


async def test_a_postgres_restart_under_twenty_runs_loses_none_and_reaps_no_worker(
    restartable: tuple[Cluster, embedded.EmbeddedPostgres],
) -> None:
    cluster, server = restartable
    workers = [await cluster.start_worker(), await cluster.start_worker()]
    runs = [await cluster.start_run("patient", "30") for _ in range(20)]
    await cluster.effect("patient-start", more_than=19)
    before = await cluster.query("select executor_id from holdfast.workers order by 1")
    server.restart()
    finished = [await cluster.finished(run_id, seconds=60) for run_id in runs]
    assert {run["status"] for run in finished} == {"succeeded"}
    assert {run["recovery_attempts"] for run in finished} == {1}
    assert await cluster.query("select executor_id from holdfast.workers order by 1") == before
    assert [worker.process.returncode for worker in workers] == [None, None]
    assert cluster.effect_counts()["patient-start"] == 20, "no model request was made twice"


async def test_a_stopped_worker_hands_its_run_over_and_exits_in_time(cluster: Cluster) -> None:
    cluster.environment["HOLDFAST_DRAIN_SECONDS"] = "2"
    first = await cluster.start_worker()
    run_id = await cluster.start_run("patient", "60")
    await cluster.effect("patient-start")
    await cluster.start_worker()
    first.signal(signal.SIGTERM)
    began = time.monotonic()
    assert await first.ended() == 0
    assert time.monotonic() - began < 8
    run = await cluster.finished(run_id)
    assert run["status"] == "succeeded"
    assert run["recovery_attempts"] == 1, "a hand-over is no failed recovery"


async def test_a_stopped_worker_lets_short_runs_finish(cluster: Cluster) -> None:
    cluster.environment["HOLDFAST_DRAIN_SECONDS"] = "10"
    worker = await cluster.start_worker()
    run_id = await cluster.start_run("patient", "10")
    await cluster.effect("patient-start")
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0
    run = await cluster.run(run_id)
    assert (run["status"], run["recovery_attempts"]) == ("succeeded", 1)


async def test_runs_that_no_worker_holds_are_swept_back_to_the_queue(cluster: Cluster) -> None:
    run_id = await cluster.start_run("memory", "hello")
    async with cluster.engine.begin() as connection:
        await connection.exec_driver_sql(
            "update dbos.workflow_status set status = 'PENDING', executor_id = 'nobody', owner_xid = 'x',"
            " updated_at = holdfast.now_ms() - 20000"
        )
        await connection.exec_driver_sql(
            "insert into holdfast.idempotency_keys (key, request_hash, run_id, created_at)"
            " values ('old', '', '', now() - interval '2 days'), ('new', '', '', now())"
        )
    await cluster.start_worker()
    assert (await cluster.finished(run_id))["status"] == "succeeded"
    assert await cluster.query("select key from holdfast.idempotency_keys") == [{"key": "new"}]


async def test_what_a_delegate_used_outlives_its_call(cluster: Cluster) -> None:
    await cluster.start_worker()
    undisturbed = await cluster.start_run("boss")
    await cluster.finished(undisturbed)
    run_id = await cluster.start_run("boss", crash="2:recorded")
    await cluster.workers[0].ended()
    await cluster.start_worker()
    run = await cluster.finished(run_id)
    assert (run["status"], json.loads(run["output"])) == ("succeeded", ["inner"])
    assert cluster.effect_counts()["delegate"] == 2
    tool = (await cluster.steps(run_id))[1]
    assert (tool["name"], tool["attempts"]) == ("tool:delegate", 1)
    assert tool["input_tokens"] > 0
    used = (
        "select holdfast.to_jsonb_safe(output) -> 'usage' as usage from dbos.workflow_output where workflow_uuid = :r"
    )
    [with_crash], [without] = await cluster.query(used, r=run_id), await cluster.query(used, r=undisturbed)
    assert with_crash == without
    assert with_crash["usage"]["requests"] == 3
    assert with_crash["usage"]["input_tokens"] == run["input_tokens"]
