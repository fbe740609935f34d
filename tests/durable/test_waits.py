"""Parking and deciding: no wake-up is lost, no decision is taken twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.waits import CallChanged, Decided, Wait, decide, decisions_or_park
from app.durable.client import RunClient
from tests.durable.conftest import ClaimedRun, claim, rows

PAY = Wait("call-1", "outcome_unknown", "pay", {"amount": 1})
SHIP = Wait("call-2", "outcome_unknown", "ship", {})
STEP = 4
STATUS = "select status, owner_xid, recovery_attempts from dbos.workflow_status where workflow_uuid = :r"


async def test_a_run_parks_until_all_its_waits_are_decided(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()
    assert await decisions_or_park(engine, run_id, "owner-1", STEP, [PAY, SHIP]) is None
    assert await rows(engine, STATUS, r=run_id) == [("DELAYED", None, 0)]
    assert await rows(engine, "select status, jsonb_array_length(waiting_for) from holdfast.runs") == [("waiting", 2)]
    assert await decide(engine, run_id, PAY, {"result": "paid"}, decided_by="test") is Decided.recorded
    assert (await rows(engine, STATUS, r=run_id))[0][0] == "DELAYED"
    assert await decide(engine, run_id, SHIP, {"result": None}, decided_by="test") is Decided.recorded
    assert (await rows(engine, STATUS, r=run_id))[0][0] == "ENQUEUED"
    await claim(engine, run_id, "owner-2", "worker-1")
    decided = await decisions_or_park(engine, run_id, "owner-2", STEP, [PAY, SHIP])
    assert decided == {"call-1": {"result": "paid"}, "call-2": {"result": None}}


async def test_a_decision_holds_for_the_arguments_that_were_shown_and_no_others(
    engine: AsyncEngine, claimed_run: ClaimedRun
) -> None:
    run_id = await claimed_run()
    await decisions_or_park(engine, run_id, "owner-1", STEP, [PAY])
    await decide(engine, run_id, PAY, {"approve": True}, decided_by="test")
    await claim(engine, run_id, "owner-2", "worker-1")
    more = replace(PAY, args={"amount": 100})
    with pytest.raises(CallChanged, match="'pay' was decided for other arguments"):
        await decisions_or_park(engine, run_id, "owner-2", STEP, [more])
    assert await decisions_or_park(engine, run_id, "owner-2", STEP, [PAY]) == {"call-1": {"approve": True}}


async def test_of_many_deciders_at_once_exactly_one_is_heard(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()
    await decisions_or_park(engine, run_id, "owner-1", STEP, [PAY])
    answers = await asyncio.gather(
        *(decide(engine, run_id, PAY, {"result": number}, decided_by=str(number)) for number in range(8))
    )
    assert Counter(answers) == {Decided.recorded: 1, Decided.already_decided: 7}
    assert (await rows(engine, STATUS, r=run_id))[0][0] == "ENQUEUED"


async def test_a_decision_that_comes_while_the_run_is_parking_is_not_lost(
    engine: AsyncEngine, claimed_run: ClaimedRun
) -> None:
    for _ in range(10):
        run_id = await claimed_run()
        await decisions_or_park(engine, run_id, "owner-1", STEP, [PAY])
        await decide(engine, run_id, PAY, {"result": 1}, decided_by="test")
        await claim(engine, run_id, "owner-2", "worker-1")
        await asyncio.gather(
            decisions_or_park(engine, run_id, "owner-2", STEP, [PAY, SHIP]), decide_when_asked(engine, run_id, SHIP)
        )
        assert (await rows(engine, STATUS, r=run_id))[0][0] == "ENQUEUED"


async def decide_when_asked(engine: AsyncEngine, run_id: str, wait: Wait) -> None:
    async with asyncio.timeout(10):
        while await decide(engine, run_id, wait, {"result": 2}, decided_by="test") is not Decided.recorded:
            await asyncio.sleep(0)


async def test_an_execution_that_lost_its_run_cannot_park_it(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()
    await claim(engine, run_id, "owner-2", "worker-2")
    with pytest.raises(LookupError):
        await decisions_or_park(engine, run_id, "owner-1", STEP, [PAY])
    assert (await rows(engine, STATUS, r=run_id))[0][:2] == ("PENDING", "owner-2")


async def test_cancelling_a_waiting_run_ends_it_and_closes_it_to_decisions(
    engine: AsyncEngine, claimed_run: ClaimedRun, client: RunClient
) -> None:
    run_id = await claimed_run()
    await decisions_or_park(engine, run_id, "owner-1", STEP, [PAY])
    await client.cancel(run_id)
    assert await rows(engine, "select status, waiting_for from holdfast.runs") == [("cancelled", None)]
    assert await decide(engine, run_id, PAY, {"result": 1}, decided_by="test") is Decided.run_not_waiting
    assert await decide(engine, "no-such-run", PAY, {}, decided_by="test") is Decided.no_such_run
