"""Messages that clients send to runs: stored, taken once by a step, and refused once the run is about to end.

Whoever stores, takes or closes holds the run's row lock, so a message is either taken or refused, never lost between.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_LOCK_UNFINISHED: Final = text(
    "select 1 from dbos.workflow_status where workflow_uuid = :run_id and holdfast.is_run(name)"
    " and status in ('ENQUEUED', 'PENDING', 'DELAYED') for no key update"
)
_LOCK_MINE: Final = text(
    "select 1 from dbos.workflow_status where workflow_uuid = :run_id and owner_xid = :owner and status = 'PENDING'"
    " for no key update"
)
_IS_CLOSED: Final = text("select exists (select 1 from holdfast.run_cursors where run_id = :run_id and closed)")
_STORE: Final = text(
    "insert into holdfast.sent_messages (message_id, run_id, content, priority, sent_by)"
    " values (:message_id, :run_id, cast(:content as jsonb), :priority, :sent_by) returning *"
)
_FIND: Final = text("select * from holdfast.sent_messages where message_id = :message_id")
_TELL_SENT: Final = text(
    "select holdfast.number_events(:run_id, jsonb_build_array(jsonb_build_object('type', 'message_sent', 'data',"
    " jsonb_build_object('message_id', sent.message_id, 'content', sent.content, 'priority', sent.priority,"
    " 'sent_by', sent.sent_by)))) from holdfast.sent_messages as sent where sent.message_id = :message_id"
)

# A step that is recorded, or was begun, was drawn when nothing had been sent, and has to be drawn again.
_IS_DRAWN: Final = text(
    """
    select exists (select 1 from dbos.operation_outputs
                   where workflow_uuid = :run_id and function_id = :step and function_name = :step_name)
        or (not exists (select 1 from dbos.operation_outputs where workflow_uuid = :run_id and function_id >= :step)
            and not exists (select 1 from holdfast.attempts where run_id = :run_id and step >= :step)
            and exists (select 1 from holdfast.sent_messages
                        where run_id = :run_id
                          and (taken_at_step = :step or (taken_at_step is null and priority = any(:priorities)))))
    """
)
_TAKE: Final = text(
    """
    with taken as (
        update holdfast.sent_messages set taken_at_step = :step
        where run_id = :run_id and taken_at_step is null and priority = any(:priorities)
        returning message_id, priority, sent_at
    ), listed as (
        select jsonb_agg(jsonb_build_object('type', 'message_taken', 'step', cast(:step as integer), 'data',
                         jsonb_build_object('message_id', message_id)) order by priority, sent_at) as events
        from taken
    )
    select holdfast.number_events(:run_id, events) from listed where events is not null
    """
)
_TAKEN: Final = text(
    "select * from holdfast.sent_messages where run_id = :run_id and taken_at_step = :step order by priority, sent_at"
)
_CLOSE: Final = text(
    "update holdfast.run_cursors set closed = true where run_id = :run_id and not exists"
    " (select 1 from holdfast.sent_messages where run_id = :run_id and taken_at_step is null)"
)


@dataclass(frozen=True)
class NewMessage:
    """A message to a run; `content` is JSON, text or content parts."""

    message_id: str
    run_id: str
    content: Any
    priority: str
    sent_by: str


async def store(connection: AsyncConnection, message: NewMessage) -> RowMapping | None:
    """Keep the message for the run and tell of it; its row. None if there is no such run, or it takes none any more."""
    here = {"run_id": message.run_id}
    if (await connection.execute(_LOCK_UNFINISHED, here)).first() is None:
        return None
    if (await connection.execute(_IS_CLOSED, here)).scalar_one():
        return None
    values = vars(message) | {"content": json.dumps(message.content, ensure_ascii=False, allow_nan=False)}
    row = (await connection.execute(_STORE, values)).mappings().one()
    await connection.execute(_TELL_SENT, {**here, "message_id": message.message_id})
    return row


async def find(connection: AsyncConnection, message_id: str) -> RowMapping | None:
    """A message that was sent."""
    return (await connection.execute(_FIND, {"message_id": message_id})).mappings().one_or_none()


@dataclass(frozen=True)
class Draw:
    """The place in an execution at which a step may take messages, and of which priorities."""

    run_id: str
    owner: str
    step: int
    step_name: str
    priorities: Sequence[str]


async def is_drawn(engine: AsyncEngine, draw: Draw) -> bool:
    """Whether the step takes messages: it did before, or there are some and no other step was begun here."""
    async with engine.connect() as connection:
        return (await connection.execute(_IS_DRAWN, _values(draw))).scalar_one()


async def take(engine: AsyncEngine, draw: Draw) -> Sequence[RowMapping]:
    """The messages that are this step's now, `asap` ones first; the same again if it could not be recorded.

    Raises LookupError when the run is no longer this execution's.
    """
    async with engine.begin() as connection:
        await _lock(connection, draw)
        await connection.execute(_TAKE, _values(draw))
        return (await connection.execute(_TAKEN, _values(draw))).mappings().all()


async def close(engine: AsyncEngine, draw: Draw) -> bool:
    """Let the run take no more messages. False, and nothing is done, if there are some that no step has taken.

    Raises LookupError when the run is no longer this execution's.
    """
    async with engine.begin() as connection:
        await _lock(connection, draw)
        return (await connection.execute(_CLOSE, _values(draw))).rowcount == 1


async def _lock(connection: AsyncConnection, draw: Draw) -> None:
    if (await connection.execute(_LOCK_MINE, _values(draw))).first() is None:
        raise LookupError(draw.run_id)


def _values(draw: Draw) -> dict[str, Any]:
    return {**vars(draw), "priorities": list(draw.priorities)}
