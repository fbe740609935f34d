"""kill -9 around the steps that take messages: each message is in the conversation exactly once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.ai.ids import uuid7
from app.ai.messages import ModelMessagesTypeAdapter
from app.db import sent_messages
from app.db.sent_messages import NewMessage
from app.durable import history
from app.durable.client import NewRun
from app.durable.inputs import HistoryLink, RunInput
from tests.crash.cluster import Cluster, Row, until

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

STEPS = ["messages", "model", "tool:work", "model", "messages", "model"]
"""`asap` ones go with the first request, `when_idle` ones when the run would end."""
KILLS = ["1:begun", "1:performed", "2:before", "2:begun", "5:begun", "5:performed", "6:before", "7:closed"]
"""`performed`: taken and not recorded; step 7 is none, the run ends there."""


@pytest.fixture(scope="module")
async def pair(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(crash_database_url, tmp_path_factory.mktemp("pair")) as cluster:
        yield cluster


async def refill(cluster: Cluster) -> None:
    """Start workers until two live."""
    cluster.workers = [worker for worker in cluster.workers if worker.process.returncode is None]
    while len(cluster.workers) < 2:
        await cluster.start_worker()


async def start(cluster: Cluster, prompt: str, *messages: tuple[str, str], crash: str | None = None) -> str:
    """A run of the listener that has got messages before any worker sees it."""
    run_id = str(uuid7())
    if crash is not None:
        cluster.crash_next(run_id, crash)
    run = RunInput(agent="listener", prompt=prompt, conversation_id=run_id)
    async with cluster.engine.begin() as connection:
        await cluster.client.enqueue(connection, NewRun(run_id, run))
        for content, priority in messages:
            message = NewMessage(str(uuid7()), run_id, content, priority, sent_by="test")
            assert await sent_messages.store(connection, message) is not None
    return run_id


async def messages_of(cluster: Cluster, run_id: str) -> list[Row]:
    return await cluster.query("select * from holdfast.messages where run_id = :r order by position", r=run_id)


async def died(cluster: Cluster) -> None:
    async def somebody_died() -> bool:
        return any(worker.process.returncode is not None for worker in cluster.workers)

    await until(somebody_died, "the kill")


def told(message: dict[str, Any]) -> list[Any]:
    """The parts of a message in short."""
    return [part.get("tool_name") or part["content"] for part in message["parts"]]


@pytest.mark.parametrize("kill", [None, *KILLS])
async def test_a_message_is_in_the_conversation_once(pair: Cluster, kill: str | None) -> None:
    await refill(pair)
    sent = [("later", "when_idle"), ("also", "asap"), ("and", "asap")]
    run_id = await start(pair, "work", *sent, crash=kill)
    run = await pair.finished(run_id)
    assert run["status"] == "succeeded", run["error"]
    assert run["recovery_attempts"] == (1 if kill is None else 2)
    assert json.loads(run["output"]) == ["work", "also", "and", "later"]
    assert [step["name"] for step in await pair.steps(run_id)] == STEPS

    messages = [row["message"] for row in await messages_of(pair, run_id)]
    first = json.dumps(["work", "also", "and"])
    assert [told(message) for message in messages] == [
        ["work"],
        ["also"],
        ["and"],
        ["work"],
        ["work"],
        [first],
        ["later"],
        [run["output"]],
    ]
    assert {message["run_id"] for message in messages if message["kind"] == "request"} == {run_id}
    rows = await pair.query("select * from holdfast.sent_messages where run_id = :r order by sent_at", r=run_id)
    assert [row["taken_at_step"] for row in rows] == [5, 1, 1]
    times = [part["timestamp"] for message in messages for part in message["parts"] if part.get("content") == "later"]
    assert times == [rows[0]["sent_at"].isoformat().replace("+00:00", "Z")]

    events = await pair.events(run_id)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    taken = [(event["step"], event["data"]["message_id"]) for event in events if event["type"] == "message_taken"]
    assert taken == [(1, rows[1]["message_id"]), (1, rows[2]["message_id"]), (5, rows[0]["message_id"])]
    assert [event["data"]["content"] for event in events if event["type"] == "message_sent"] == [m for m, _ in sent]

    told_to_later_runs = await history.load(pair.engine, [HistoryLink(run_id=run_id)])
    assert ModelMessagesTypeAdapter.dump_python(told_to_later_runs, mode="json") == messages


async def test_a_step_that_was_begun_is_not_given_to_a_message_that_came_later(pair: Cluster) -> None:
    """The killed worker had found nothing before its model request: the next one must not take that request's place."""
    await refill(pair)
    run_id = await start(pair, "work", crash="3:begun")
    await died(pair)
    async with pair.engine.begin() as connection:
        message = NewMessage(str(uuid7()), run_id, "late", "asap", sent_by="test")
        assert await sent_messages.store(connection, message) is not None
    run = await pair.finished(run_id)
    assert json.loads(run["output"]) == ["work", "late"]
    steps = await pair.steps(run_id)
    assert [step["name"] for step in steps] == ["model", "tool:work", "model", "messages", "model"]
    assert [step["attempts"] for step in steps] == [1, 1, 2, 1, 1]
