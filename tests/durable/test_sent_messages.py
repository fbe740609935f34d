"""Messages to runs in the database: taken once, never lost between the last look and the end, told in order."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.ids import uuid7
from app.ai.messages import ModelMessagesTypeAdapter
from app.db import sent_messages
from app.db.sent_messages import Draw, NewMessage
from app.durable import history
from app.durable.inputs import HistoryLink
from tests.durable.conftest import ClaimedRun, claim, rows

BOTH = ("asap", "when_idle")


def draw(run_id: str, step: int = 1, *, owner: str = "owner-1", priorities: tuple[str, ...] = ("asap",)) -> Draw:
    return Draw(run_id, owner, step, "messages", priorities)


async def send(engine: AsyncEngine, run_id: str, content: str, priority: str = "asap") -> bool:
    async with engine.begin() as connection:
        message = NewMessage(str(uuid7()), run_id, content, priority, sent_by="test")
        return await sent_messages.store(connection, message) is not None


async def record(engine: AsyncEngine, run_id: str, step: int, name: str, envelope: dict[str, Any]) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "insert into dbos.operation_outputs (workflow_uuid, function_id, function_name, output, serialization)"
                " values (:run_id, :step, :name, :output, 'holdfast_json_v1')"
            ),
            {"run_id": run_id, "step": step, "name": name, "output": json.dumps(envelope)},
        )


def request(content: str, **fields: Any) -> dict[str, Any]:
    part = {"part_kind": "user-prompt", "content": content, "timestamp": "2026-01-01T00:00:00Z"}
    return {"kind": "request", "parts": [part], "timestamp": "2026-01-01T00:00:00Z", **fields}


async def test_a_step_takes_messages_once_and_gets_the_same_until_it_is_recorded(
    engine: AsyncEngine, claimed_run: ClaimedRun
) -> None:
    run_id = await claimed_run()
    assert not await sent_messages.is_drawn(engine, draw(run_id))
    for content, priority in (("idle", "when_idle"), ("one", "asap"), ("two", "asap")):
        assert await send(engine, run_id, content, priority)
    assert await sent_messages.is_drawn(engine, draw(run_id))
    assert [row["content"] for row in await sent_messages.take(engine, draw(run_id))] == ["one", "two"]

    await claim(engine, run_id, "owner-2", "worker-2")
    with pytest.raises(LookupError):
        await sent_messages.take(engine, draw(run_id))
    again = draw(run_id, owner="owner-2")
    assert await sent_messages.is_drawn(engine, again)
    assert [row["content"] for row in await sent_messages.take(engine, again)] == ["one", "two"]
    told = await rows(engine, "select step, count(*) from holdfast.run_events where type = 'message_taken' group by 1")
    assert told == [(1, 2)]

    await record(engine, run_id, 1, "messages", {"kind": "messages", "outcome": "returned", "result": []})
    assert await sent_messages.is_drawn(engine, again), "a replay draws what was drawn"
    assert not await sent_messages.is_drawn(engine, replace(again, step=2))
    at_the_end = draw(run_id, 2, owner="owner-2", priorities=BOTH)
    assert await sent_messages.is_drawn(engine, at_the_end)
    assert [row["content"] for row in await sent_messages.take(engine, at_the_end)] == ["idle"]


@pytest.mark.parametrize("step", [3, 4])
async def test_nothing_is_drawn_where_an_earlier_execution_went_on(
    engine: AsyncEngine, claimed_run: ClaimedRun, step: int
) -> None:
    """Of steps that begin at once, a later one may be known when the first is not."""
    run_id = await claimed_run()
    await send(engine, run_id, "one")
    begin = (
        "insert into holdfast.attempts (run_id, step, attempt, kind, name, executor_id, owner)"
        f" values ('{run_id}', {step}, 1, 'list_tools', 'list_tools:b', 'w', 'x')"
    )
    async with engine.begin() as connection:
        await connection.execute(text(begin))
    assert not await sent_messages.is_drawn(engine, draw(run_id, 3))
    assert await sent_messages.is_drawn(engine, draw(run_id, 5))
    await record(engine, run_id, step + 2, "list_tools:b", {"kind": "list_tools", "outcome": "returned"})
    assert not await sent_messages.is_drawn(engine, draw(run_id, 5))


async def test_a_closed_run_has_no_message_that_nobody_takes(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    run_id = await claimed_run()
    last = draw(run_id, priorities=BOTH)
    await send(engine, run_id, "idle", "when_idle")
    assert not await sent_messages.close(engine, last)
    await sent_messages.take(engine, last)
    assert await sent_messages.close(engine, last)
    assert await sent_messages.close(engine, last), "the run was taken over before its outcome was recorded"
    assert not await send(engine, run_id, "too late")
    with pytest.raises(LookupError):
        await sent_messages.close(engine, replace(last, owner="owner-0"))


async def test_of_a_message_and_the_end_one_comes_first(engine: AsyncEngine, claimed_run: ClaimedRun) -> None:
    """Many at once, so that some of them wait for the same row lock: never are both let through."""
    for _ in range(15):
        run_id = await claimed_run()
        *sent, closed = await asyncio.gather(
            *(send(engine, run_id, str(number)) for number in range(4)),
            sent_messages.close(engine, draw(run_id, priorities=BOTH)),
        )
        assert closed != any(sent)
        [(stored,)] = await rows(engine, f"select count(*) from holdfast.sent_messages where run_id = '{run_id}'")
        assert stored == sum(sent)


async def test_what_was_taken_is_in_the_conversation_before_it_is_answered(
    engine: AsyncEngine, claimed_run: ClaimedRun
) -> None:
    """The view and what later runs read agree at each step, and the last message stands there once."""
    run_id = await claimed_run()

    def taken(before: str | None, *contents: str) -> dict[str, Any]:
        result = [{"message_id": "m", "priority": "asap", "message": request(content)} for content in contents]
        shown = {"message": before and request(before)}
        return {"kind": "messages", "request": shown, "outcome": "returned", "result": result}

    response = {"kind": "response", "parts": [{"part_kind": "text", "content": "answer"}]}
    model = {"kind": "model", "request": {"message": request("two", instructions="Be kind.")}}
    failed = {**model, "outcome": "failed", "error": {"type": "E", "message": "m", "step": 3}}
    answered = {**model, "request": {"message": request("three")}, "outcome": "returned", "response": response}
    for step, name, envelope, expected in (
        (1, "messages", taken("prompt", "one", "two"), ["prompt", "one", "two"]),
        (2, "filter_tools", {"kind": "callback", "outcome": "returned", "result": []}, ["prompt", "one", "two"]),
        (3, "model", failed, ["prompt", "one", "two"]),
        (4, "messages", taken("two", "three"), ["prompt", "one", "two", "three"]),
        (5, "model", answered, ["prompt", "one", "two", "three", "answer"]),
        (6, "messages", taken(None, "idle"), ["prompt", "one", "two", "three", "answer", "idle"]),
    ):
        if step == 4:
            async with engine.begin() as connection:  # as a resume does
                await connection.execute(text("delete from dbos.operation_outputs where function_id = 3"))
        await record(engine, run_id, step, name, envelope)
        viewed = await rows(engine, "select message #>> '{parts,0,content}' from holdfast.messages order by position")
        assert [content for (content,) in viewed] == expected
        read = await history.load(engine, [HistoryLink(run_id=run_id)])
        as_json = ModelMessagesTypeAdapter.dump_python(read, mode="json")
        assert [message["parts"][0]["content"] for message in as_json] == expected
