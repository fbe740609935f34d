"""Bodies of runs that somebody else has taken over are stopped; cancelled ones are left to DBOS."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.durable.client import RunClient
from app.durable.dbos_internals import OwnershipLost
from app.durable.ownership import OwnershipWatch
from tests.durable.conftest import ClaimedRun, claim


async def guarded(watch: OwnershipWatch, run_id: str, closed: asyncio.Event) -> None:
    with watch.guard(run_id, "owner-1"):
        try:
            await asyncio.Event().wait()
        finally:
            closed.set()


async def test_a_silent_body_is_stopped_once_its_run_has_another_owner(
    engine: AsyncEngine, claimed_run: ClaimedRun
) -> None:
    taken, mine = await claimed_run(), await claimed_run()
    watch = OwnershipWatch(engine)
    watching = asyncio.create_task(watch.run())
    closed = asyncio.Event()
    lost = asyncio.create_task(guarded(watch, taken, closed))
    kept = asyncio.create_task(guarded(watch, mine, asyncio.Event()))
    await claim(engine, taken, "owner-2", "worker-2")
    async with asyncio.timeout(5):
        with pytest.raises(OwnershipLost):
            await lost
    assert closed.is_set()
    assert not kept.done()
    for task in (kept, watching):
        task.cancel()
    await asyncio.wait({kept, watching})


async def test_a_deleted_run_s_body_is_stopped_a_cancelled_one_s_is_not_ours_to_stop(
    engine: AsyncEngine, claimed_run: ClaimedRun, client: RunClient
) -> None:
    deleted, cancelled = await claimed_run(), await claimed_run()
    watch = OwnershipWatch(engine)
    watching = asyncio.create_task(watch.run())
    lost = asyncio.create_task(guarded(watch, deleted, asyncio.Event()))
    left = asyncio.create_task(guarded(watch, cancelled, asyncio.Event()))
    await client.cancel(cancelled)
    await client.delete([deleted])
    async with asyncio.timeout(5):
        with pytest.raises(OwnershipLost):
            await lost
    assert not left.done()
    for task in (left, watching):
        task.cancel()
    await asyncio.wait({left, watching})


async def test_a_cancellation_from_elsewhere_stays_a_cancellation(engine: AsyncEngine) -> None:
    body = asyncio.create_task(guarded(OwnershipWatch(engine), "any", asyncio.Event()))
    await asyncio.sleep(0)
    body.cancel()
    with pytest.raises(asyncio.CancelledError):
        await body
