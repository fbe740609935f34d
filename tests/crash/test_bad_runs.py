"""Whatever a tool or model does, its run ends with a typed error that says what happened, and is not left running."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from app.db.waits import Wait, decide
from tests.crash.cluster import Cluster

pytestmark = [pytest.mark.crash]


@pytest.fixture(scope="module")
async def one_worker(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(crash_database_url, tmp_path_factory.mktemp("one")) as cluster:
        await cluster.start_worker()
        yield cluster


@pytest.mark.parametrize(
    ("tool", "error", "words"),
    [
        ("leaks_cancelled", "ToolCrashed", "tool:leaks_cancelled raised CancelledError"),
        ("exits", "ToolCrashed", "tool:exits raised SystemExit"),
        ("exits_in_thread", "ToolCrashed", "tool:exits_in_thread raised SystemExit"),
        ("interrupts", "ToolCrashed", "tool:interrupts raised KeyboardInterrupt"),
        ("raises", "ZeroDivisionError", "a tool divided by zero"),
        ("returns_no_json", "ResultNotSerializable", "Return text, numbers, lists"),
        ("returns_nan", "ResultNotSerializable", "Return text, numbers, lists"),
        ("returns_too_much", "ResultTooLarge", "the limit is 8388608 (HOLDFAST_MAX_STEP_BYTES)"),
    ],
)
async def test_a_tool_that_misbehaves_fails_its_run_with_a_typed_error(
    one_worker: Cluster, tool: str, error: str, words: str
) -> None:
    run_id = await one_worker.start_run("naughty", tool)
    run = await one_worker.finished(run_id)
    assert (run["status"], run["reason"]) == ("failed", "error")
    assert run["error"]["type"] == error
    assert words in run["error"]["message"]
    assert run["error"]["step"] == 2
    step = (await one_worker.steps(run_id))[1]
    assert (step["tool"], step["outcome"], step["attempts"]) == (tool, "failed", 1)
    messages = await one_worker.query(
        "select kind from holdfast.messages where run_id = :r order by position", r=run_id
    )
    assert [message["kind"] for message in messages] == ["request", "response"]


async def test_the_worker_survives_all_of_that_and_nothing_is_left_running(one_worker: Cluster) -> None:
    for tool in ("exits", "interrupts", "leaks_cancelled"):
        await one_worker.finished(await one_worker.start_run("naughty", tool))
    run = await one_worker.finished(await one_worker.start_run("memory", "still there?"))
    assert json.loads(run["output"]) == ["still there?"]
    assert await one_worker.query("select 1 from dbos.workflow_status where status = 'PENDING'") == []
    assert one_worker.workers[0].process.returncode is None


async def test_text_that_postgres_cannot_hold_is_replaced_and_flagged(one_worker: Cluster) -> None:
    run_id = await one_worker.start_run("naughty", "returns_odd_text")
    assert (await one_worker.finished(run_id))["output"] == "bye"
    assert (await one_worker.steps(run_id))[1]["output"] == "a\ufffdb\ufffdc"
    recorded = "select output from dbos.operation_outputs where workflow_uuid = :r and function_id = 2"
    assert json.loads((await one_worker.query(recorded, r=run_id))[0]["output"])["sanitized"] is True


async def test_arguments_that_postgres_cannot_hold_reach_the_tool_as_they_are(one_worker: Cluster) -> None:
    run_id = await one_worker.start_run("naughty", "takes_odd_text")
    assert (await one_worker.finished(run_id))["output"] == "bye"
    step = (await one_worker.steps(run_id))[1]
    assert (step["input"], step["output"]) == ({"text": "a\ufffdb"}, 3)


async def test_a_model_that_answers_nothing_fails_the_run(one_worker: Cluster) -> None:
    run = await one_worker.finished(await one_worker.start_run("silent"))
    assert (run["status"], run["error"]["type"]) == ("failed", "UnexpectedModelBehavior")


async def test_an_agent_that_the_worker_does_not_have_fails_the_run(one_worker: Cluster) -> None:
    run = await one_worker.finished(await one_worker.start_run("nobody"))
    assert (run["status"], run["error"]["type"]) == ("failed", "UnknownAgent")
    assert "memory" in run["error"]["message"]


async def test_a_timeout_is_told_from_a_cancel_and_stops_the_stream(one_worker: Cluster) -> None:
    before = one_worker.effect_counts()
    run = await one_worker.finished(await one_worker.start_run("blocked", timeout=1.0))
    assert (run["status"], run["reason"]) == ("failed", "timeout")
    await one_worker.effect("stream-closed", more_than=before["stream-closed"])


async def test_cancelling_closes_the_model_s_stream(one_worker: Cluster) -> None:
    before = one_worker.effect_counts()
    run_id = await one_worker.start_run("blocked")
    await one_worker.effect("stream-open", more_than=before["stream-open"])
    await one_worker.client.cancel(run_id)
    await one_worker.effect("stream-closed", more_than=before["stream-closed"], seconds=3)
    run = await one_worker.run(run_id)
    assert (run["status"], run["reason"]) == ("cancelled", None)


async def test_a_conversation_remembers_earlier_runs_also_a_cancelled_one(one_worker: Cluster) -> None:
    first = await one_worker.start_run("memory", "one", conversation_id="talk")
    await one_worker.finished(first)
    second = await one_worker.start_run("blocked", "two", conversation_id="talk")
    await one_worker.effect("stream-open", more_than=one_worker.effect_counts()["stream-open"] - 1)
    await one_worker.client.cancel(second)
    await one_worker.finished(second)
    history = [{"run_id": first, "through_step": 1}, {"run_id": second, "through_step": 1}]
    third = await one_worker.start_run("memory", "three", conversation_id="talk", history=history)
    assert json.loads((await one_worker.finished(third))["output"]) == ["one", "three"]


async def test_an_mcp_server_that_dies_in_a_call_leaves_its_outcome_unknown(one_worker: Cluster) -> None:
    run_id = await one_worker.start_run("fragile", "crash")
    waiting = (await one_worker.waiting(run_id))["waiting_for"]
    assert [(wait["kind"], wait["tool"]) for wait in waiting] == [("outcome_unknown", "crash")]
    wait = Wait("call-crash", "outcome_unknown", "crash")
    await decide(one_worker.engine, run_id, wait, {"result": "it crashed"}, decided_by="test")
    assert (await one_worker.finished(run_id))["output"] == "['it crashed']"


async def test_an_mcp_server_that_does_not_start_fails_the_run_with_its_last_words(one_worker: Cluster) -> None:
    run = await one_worker.finished(await one_worker.start_run("nowhere", "any"))
    assert (run["status"], run["error"]["type"]) == ("failed", "MCPServerUnavailable")
    assert "no such luck" in run["error"]["message"]


async def test_no_row_of_ours_is_pickled(one_worker: Cluster) -> None:
    columns = await one_worker.query(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'dbos' and data_type = 'text'"
    )
    assert columns
    for row in columns:
        table, column = row["table_name"], row["column_name"]
        assert await one_worker.query(f'select 1 from dbos."{table}" where "{column}" like \'gAS%\' limit 1') == []
    used = await one_worker.query("select distinct serialization from dbos.operation_outputs")
    assert used == [{"serialization": "holdfast_json_v1"}]
