"""The event log: gapless numbers whoever writes, nothing from an execution that lost its run."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import attempts, events
from app.db.attempts import NewAttempt
from app.durable.client import RunClient
from tests.durable.conftest import ClaimedRun, claim, rows


def event(batch: int, event_type: str = "part_delta") -> dict[str, object]:
    return {"type": event_type, "data": {"n": batch}, "step": 1, "attempt": 1, "batch": batch}


def new_attempt(run_id: str, owner: str, *, repeatable: bool) -> NewAttempt:
    return NewAttempt(run_id, owner, "worker", 3, "tool", "tool:pay", repeatable, "call-1", {"amount": 1})


async def test_many_writers_number_their_events_without_gaps(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()

    async def write(writer: int) -> None:
        for number in range(50):
            await events.append(engine, run_id, "owner-1", [event(writer * 1000 + number), event(number)])

    await asyncio.gather(*(write(writer) for writer in range(6)))
    found = [
        seq
        for (seq,) in await rows(engine, "select seq from holdfast.run_events where run_id = :r order by seq", r=run_id)
    ]
    assert found == list(range(1, 2 + 6 * 50 * 2 + 1))  # run_queued and run_running came first


async def test_an_execution_that_lost_its_run_stores_nothing(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()
    assert await events.append(engine, run_id, "owner-1", [event(1)]) == 3
    await claim(engine, run_id, "owner-2", "worker-2")
    assert await events.append(engine, run_id, "owner-1", [event(2)]) is None
    assert await attempts.begin(engine, new_attempt(run_id, "owner-1", repeatable=True), []) is None
    assert await rows(engine, "select count(*) from holdfast.attempts") == [(0,)]
    assert await rows(engine, "select count(*) from holdfast.run_events where type = 'part_delta'") == [(1,)]


async def test_a_batch_whose_commit_was_answered_too_late_is_stored_once(
    engine: AsyncEngine, claimed_run: ClaimedRun
) -> None:
    run_id = await claimed_run()
    first = await events.append(engine, run_id, "owner-1", [event(1), event(1)])
    append_again = "select holdfast.append_events(:r, 'owner-1', cast(:e as jsonb), true)"
    same = '[{"type": "part_delta", "data": {}, "step": 1, "attempt": 1, "batch": 1}]'
    assert await rows(engine, append_again, r=run_id, e=same) == [(first,)]
    assert await rows(engine, "select count(*) from holdfast.run_events where type = 'part_delta'") == [(2,)]


async def test_a_lost_call_is_begun_again_only_if_it_may_be(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()
    first = [{"type": "attempt", "data": {"name": "tool:pay"}}]
    assert await attempts.begin(engine, new_attempt(run_id, "owner-1", repeatable=False), first) == 1
    # The same execution asking again only means that the answer to its commit was lost.
    assert await attempts.begin(engine, new_attempt(run_id, "owner-1", repeatable=False), first) == 1
    await claim(engine, run_id, "owner-2", "worker-2")
    assert await attempts.begin(engine, new_attempt(run_id, "owner-2", repeatable=False), first) == 0
    assert await attempts.begin(engine, new_attempt(run_id, "owner-2", repeatable=True), first) == 2
    stored = await rows(
        engine, "select step, attempt, data ->> 'name' from holdfast.run_events where type = 'attempt' order by seq"
    )
    assert stored == [(3, 1, "tool:pay"), (3, 2, "tool:pay")]


async def test_state_events_tell_every_change_in_the_transaction_that_makes_it(
    engine: AsyncEngine, claimed_run: ClaimedRun, client: RunClient
) -> None:
    run_id = await claimed_run()
    await rows_committed(engine, "update dbos.workflow_status set status = 'ENQUEUED', owner_xid = null")
    await claim(engine, run_id, "owner-2", "worker-2")
    await client.cancel(run_id)
    found = await rows(engine, "select type, data from holdfast.run_events order by seq")
    assert found == [
        ("run_queued", {}),
        ("run_running", {"worker": "worker-1"}),
        ("run_taken_over", {"from_worker": "worker-1"}),
        ("run_running", {"worker": "worker-2"}),
        ("run_cancelled", {}),
    ]


async def test_a_row_that_is_no_json_does_not_break_the_views(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    good, bad = await claimed_run(), await claimed_run()
    record = (
        "insert into dbos.operation_outputs (workflow_uuid, function_id, function_name, output, serialization)"
        " values ('{run}', 1, 'model', '{output}', 'holdfast_json_v1')"
    )
    await rows_committed(engine, record.format(run=good, output='{"kind": "model", "outcome": "returned"}'))
    await rows_committed(engine, record.format(run=bad, output="gASVbroken"))
    assert await rows(engine, "select run_id, kind from holdfast.steps where kind is not null") == [(good, "model")]
    assert len(await rows(engine, "select * from holdfast.steps")) == 2
    assert len(await rows(engine, "select * from holdfast.runs")) == 2


async def rows_committed(engine: AsyncEngine, statement: str) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql(statement)


async def test_deleting_a_run_deletes_all_that_is_kept_of_it(
    engine: AsyncEngine, claimed_run: ClaimedRun, client: RunClient
) -> None:
    run_id, other = await claimed_run(), await claimed_run()
    for run in (run_id, other):
        await attempts.begin(engine, new_attempt(run, "owner-1", repeatable=True), [{"type": "attempt"}])
        await events.append(engine, run, "owner-1", [event(1)])
    await client.delete([run_id])
    for table in ("run_events", "run_cursors", "attempts"):
        assert await rows(engine, f"select distinct run_id from holdfast.{table}") == [(other,)]
    for table in ("workflow_status", "workflow_input", "operation_outputs"):
        assert (run_id,) not in await rows(engine, f"select workflow_uuid from dbos.{table}")
