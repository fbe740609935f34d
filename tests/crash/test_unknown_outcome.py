"""A call that must not be repeated was lost with its worker: the run waits until somebody says what became of it."""

from __future__ import annotations

import pytest

from app.db.waits import Decided, Wait, decide
from tests.crash.cluster import Cluster, until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

PAY = Wait("call-pay", "outcome_unknown", "pay")


async def lose_the_payment(cluster: Cluster) -> str:
    """Kill the worker in the middle of `pay`; returns the run, which waits on a second worker."""
    first = await cluster.start_worker()
    run_id = await cluster.start_run("careful", crash="2:performed")
    await first.ended()
    await cluster.start_worker()
    run = await cluster.waiting(run_id)
    assert run["status"] == "waiting"
    assert [(wait["tool_call_id"], wait["kind"], wait["tool"], wait["args"]) for wait in run["waiting_for"]] == [
        ("call-pay", "outcome_unknown", "pay", {"amount": 7})
    ]
    assert cluster.effect_counts()["pay"] == 1
    return run_id


async def test_the_call_is_not_repeated_and_the_given_result_finishes_the_run(cluster: Cluster) -> None:
    run_id = await lose_the_payment(cluster)
    unknown = await cluster.query("select tool, outcome from holdfast.tool_calls where outcome = 'unknown'")
    assert unknown == [{"tool": "pay", "outcome": "unknown"}]
    assert await decide(cluster.engine, run_id, PAY, {"result": "paid 7"}, decided_by="test") is Decided.recorded
    run = await cluster.finished(run_id)
    assert (run["status"], run["output"]) == ("succeeded", "paid: ['noted', 'paid 7']")
    assert cluster.effect_counts() == {"pay": 1, "note": 1}
    assert [step["kind"] for step in await cluster.steps(run_id) if step["kind"] == "decision"] == ["decision"]
    events = [event["type"] for event in await cluster.events(run_id)]
    assert events.index("run_waiting") < events.index("run_succeeded")


async def test_a_worker_killed_while_it_takes_the_decision_loses_nothing_of_it(cluster: Cluster) -> None:
    run_id = await lose_the_payment(cluster)
    second = cluster.workers[-1]
    await cluster.start_worker()
    cluster.crash_next(run_id, "4:performed")
    await decide(cluster.engine, run_id, PAY, {"result": "paid 7"}, decided_by="test")
    run = await cluster.finished(run_id)
    assert run["output"] == "paid: ['noted', 'paid 7']"
    assert run["recovery_attempts"] >= 2
    assert (cluster.crashes / f"{run_id}.done").exists()
    assert second.process.returncode is not None or cluster.workers[-1].process.returncode is not None
    assert cluster.effect_counts() == {"pay": 1, "note": 1}


async def test_cancelling_the_waiting_run_ends_it(cluster: Cluster) -> None:
    run_id = await lose_the_payment(cluster)
    await cluster.client.cancel(run_id)
    assert (await cluster.finished(run_id))["status"] == "cancelled"
    assert cluster.effect_counts()["pay"] == 1


async def test_a_waiting_run_survives_its_worker_and_costs_none(cluster: Cluster) -> None:
    run_id = await lose_the_payment(cluster)
    survivor = cluster.workers[-1]
    survivor.process.kill()
    await survivor.ended()
    third = await cluster.start_worker()
    assert (await cluster.run(run_id))["status"] == "waiting"
    await decide(cluster.engine, run_id, PAY, {"result": "refunded"}, decided_by="test")
    assert "refunded" in (await cluster.finished(run_id))["output"]
    assert third.process.returncode is None

    async def gone() -> bool:
        return len(await cluster.query("select 1 from holdfast.workers")) == 1

    await until(gone, "the burial of the dead workers")
