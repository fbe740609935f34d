"""Facts of the pinned DBOS that Holdfast stands on, below its public API or beyond its documentation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from dbos import DBOS, DBOSConfig, SetEnqueueOptions, SetWorkflowID, SetWorkflowTimeout, error
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import dbos_url, make_engine
from app.durable import dbos_internals
from app.durable.failures import Departure
from app.durable.serializer import HoldfastSerializer

pytestmark = pytest.mark.contract

QUEUE = "contract"
Query = Callable[..., Awaitable[list[tuple[Any, ...]]]]
effects: list[str] = []
gates: dict[str, asyncio.Event] = {}

STATUS = "select status, owner_xid is not null, executor_id from dbos.workflow_status where workflow_uuid = 'run'"
STEPS = "select function_id, function_name from dbos.operation_outputs where workflow_uuid = 'run' order by 1"
TAKE_OVER = "update dbos.workflow_status set status = 'ENQUEUED', owner_xid = null where workflow_uuid = 'run'"
PARK = (
    "update dbos.workflow_status set status = 'DELAYED', owner_xid = null, delay_until_epoch_ms = {until}"
    " where workflow_uuid = 'run'"
)
FOREVER = str(2**52)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def query(engine: AsyncEngine) -> Query:
    async def ask(statement: str) -> list[tuple[Any, ...]]:
        async with engine.begin() as connection:
            result = await connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    return ask


@pytest.fixture
async def dbos(database_url: str) -> AsyncIterator[None]:
    effects.clear()
    gates.clear()
    config = DBOSConfig(
        name="holdfast",
        system_database_url=dbos_url(database_url),
        executor_id="here",
        application_version="1",
        serializer=HoldfastSerializer(),
        run_migrations=False,
        log_level="ERROR",
        console_log_level="ERROR",
    )
    DBOS(config=config)
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    await DBOS.register_queue_async(QUEUE, polling_interval_sec=0.05, on_conflict="always_update")
    yield
    for gate in gates.values():
        gate.set()
    await asyncio.to_thread(DBOS.destroy)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.01)


async def reached(query: Query, status: str) -> None:
    async def there() -> bool:
        return (await query(STATUS))[0][0] == status

    await until(there)


async def done(effect: str) -> None:
    async def there() -> bool:
        return effect in effects

    await until(there)


async def enqueue(workflow: Any, *args: Any) -> None:
    with SetWorkflowID("run"):
        await DBOS.enqueue_workflow_async(QUEUE, workflow, *args)


async def step(name: str) -> str:
    async def body() -> str:
        effects.append(name)
        if name in gates:
            await gates[name].wait()
        return name

    return await DBOS.run_step_async({"name": name, "preemptible": True}, body)


@DBOS.workflow(name="contract.departing")
async def departing() -> str:
    first = "came back" not in effects
    await step("one")
    if first:
        effects.append("came back")
        raise Departure
    await step("two")
    return "done"


async def test_a_base_exception_leaves_the_row_as_it_is(dbos: None, query: Query) -> None:
    await enqueue(departing)
    await done("came back")

    async def left() -> bool:
        return "run" not in dbos_internals.active_runs()

    await until(left)
    assert await query(STATUS) == [("PENDING", True, "here")]
    assert await query("select count(*) from dbos.workflow_output where workflow_uuid = 'run'") == [(0,)]


async def test_a_requeued_row_is_executed_again_and_repeats_no_recorded_step(dbos: None, query: Query) -> None:
    await enqueue(departing)
    await done("came back")
    await query(TAKE_OVER)
    await reached(query, "SUCCESS")
    assert effects == ["one", "came back", "two"]


async def test_a_delayed_row_waits_keeps_its_deduplication_and_is_woken_by_its_time(dbos: None, query: Query) -> None:
    with SetEnqueueOptions(deduplication_id="conversation"):
        await enqueue(departing)
    await done("came back")
    await query(PARK.format(until=FOREVER))
    with pytest.raises(error.DBOSQueueDeduplicatedError), SetEnqueueOptions(deduplication_id="conversation"):
        await DBOS.enqueue_workflow_async(QUEUE, departing)
    await query(PARK.format(until="1"))
    await reached(query, "SUCCESS")


async def test_a_delayed_row_can_be_cancelled(dbos: None, query: Query) -> None:
    await enqueue(departing)
    await done("came back")
    await query(PARK.format(until=FOREVER))
    await DBOS.cancel_workflow_async("run")
    assert (await query(STATUS))[0][:2] == ("CANCELLED", False)


async def test_a_delayed_row_keeps_its_deadline(dbos: None, query: Query) -> None:
    with SetWorkflowTimeout(1.5):
        await enqueue(departing)
    await done("came back")
    await query(PARK.format(until=FOREVER))
    await reached(query, "CANCELLED")
    late = "select completed_at >= workflow_deadline_epoch_ms from dbos.workflow_status where workflow_uuid = 'run'"
    assert await query(late) == [(True,)]


@DBOS.workflow(name="contract.owner")
async def owner() -> str:
    token = dbos_internals.current_owner()
    await step("gate")
    await step("after")
    return token


async def test_the_owner_token_is_the_one_in_the_row_and_a_new_owner_fences_the_old(dbos: None, query: Query) -> None:
    gates["gate"] = asyncio.Event()
    await enqueue(owner)
    await done("gate")
    token = (await query("select owner_xid from dbos.workflow_status where workflow_uuid = 'run'"))[0][0]
    assert dbos_internals.active_runs() == {"run"}
    await query(TAKE_OVER)
    gates["gate"].set()
    await reached(query, "SUCCESS")
    recorded = await query("select output from dbos.workflow_output where workflow_uuid = 'run'")
    assert token not in str(recorded)
    assert effects.count("gate") == 2
    assert effects.count("after") == 1


@DBOS.workflow(name="contract.reserving")
async def reserving() -> list[str]:
    assert dbos_internals.next_step() == 1
    first, unused, last = DBOS.reserve_step(), DBOS.reserve_step(), DBOS.reserve_step()
    assert dbos_internals.next_step() == 4
    assert unused.step_id == 2

    async def late() -> str:
        effects.append("late")
        return "late"

    async def early() -> str:
        effects.append("early")
        return "early"

    one = await last.run_async({"name": "last"}, early)
    two = await first.run_async({"name": "first"}, late)
    if "again" not in effects:
        effects.append("again")
        raise Departure
    return [one, two]


async def test_reserved_numbers_replay_in_whatever_order_they_ran_and_gaps_are_legal(dbos: None, query: Query) -> None:
    await enqueue(reserving)
    await done("again")
    await query(TAKE_OVER)
    await reached(query, "SUCCESS")
    assert await query(STEPS) == [(1, "first"), (3, "last")]
    assert effects == ["early", "late", "again"]


@DBOS.workflow(name="contract.unrecorded")
async def unrecorded() -> str:
    async def body() -> str:
        effects.append("body")
        raise Departure

    try:
        await DBOS.run_step_async({"name": "leaving", "preemptible": True}, body)
    except Departure:
        effects.append("seen")
    return await step("next")


async def test_a_base_exception_out_of_a_step_body_is_not_recorded_and_reaches_the_workflow(
    dbos: None, query: Query
) -> None:
    await enqueue(unrecorded)
    await reached(query, "SUCCESS")
    assert effects == ["body", "seen", "next"]
    assert await query(STEPS) == [(2, "next")]


async def test_the_thread_that_claims_is_known_by_its_name(dbos: None) -> None:
    async def claiming() -> bool:
        return dbos_internals.is_claiming(QUEUE)

    await until(claiming)
    assert not dbos_internals.is_claiming("another")


def test_a_workflow_is_known_by_its_function() -> None:
    assert dbos_internals.is_registered(departing)
    assert not dbos_internals.is_registered(step)


async def test_a_program_with_a_serializer_of_its_own_keeps_no_objects(dbos: None) -> None:
    assert not dbos_internals.keeps_objects()
    assert not dbos_internals.can_keep("text")


async def test_a_cancelled_run_s_step_is_stopped_within_two_seconds(dbos: None, query: Query) -> None:
    gates["gate"] = asyncio.Event()
    await enqueue(owner)
    await done("gate")
    await DBOS.cancel_workflow_async("run")

    async def stopped() -> bool:
        return not dbos_internals.active_runs()

    async with asyncio.timeout(2):
        await until(stopped)
    assert "after" not in effects


async def test_nothing_stored_is_pickled(dbos: None, query: Query) -> None:
    await enqueue(departing)
    await done("came back")
    stored = "select distinct serialization from dbos.{table} where serialization is not null"
    for table in ("workflow_status", "operation_outputs"):
        assert await query(stored.format(table=table)) == [("holdfast_json_v1",)]
