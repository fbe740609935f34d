"""Messages that were sent to a run: taken by a step that is drawn only where there are some. [replay-sensitive]

A run to which nobody sends anything draws the steps that it has always drawn. The record holds the messages, and the
request that stood before them, which no model step will show: the history of the run can be told from its records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from app.ai.messages import ModelRequest, UserContent, UserPromptPart
from app.ai.pending import PendingMessage
from app.ai.run_state import GraphAgentState, stamp_request
from app.db import sent_messages
from app.db.outage import through_outage
from app.db.sent_messages import Draw
from app.durable import names
from app.durable.dbos_internals import OwnershipLost, next_step
from app.durable.journal import Envelope, Journal

T = TypeVar("T")

_request: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)
_content: TypeAdapter[str | list[UserContent]] = TypeAdapter(str | list[UserContent])


async def take_sent(journal: Journal, state: GraphAgentState, *, ending: bool) -> list[PendingMessage]:
    """What goes with the next request. With `ending` everything; and if there is nothing, nothing can come any more."""
    engine = journal.instruments.engine
    priorities = ("asap", "when_idle") if ending else ("asap",)
    draw = Draw(journal.run_id, journal.owner, next_step(), names.MESSAGES_STEP, priorities)
    drawn = await _asked(journal, lambda: sent_messages.is_drawn(engine, draw))
    if not drawn and (not ending or await _asked(journal, lambda: sent_messages.close(engine, draw))):
        return []

    async def take() -> Envelope:
        rows = await _asked(journal, lambda: sent_messages.take(engine, draw))
        journal.instruments.notifier.touch(journal.run_id)
        last = state.message_history[-1]
        before = _request.dump_python(last, mode="json") if isinstance(last, ModelRequest) else None
        taken = [_taken(row, state) for row in rows]
        return {"kind": "messages", "request": {"message": before}, "outcome": "returned", "result": taken}

    envelope = await journal.reserve().run_async({"name": names.MESSAGES_STEP}, take)
    return [
        PendingMessage([_request.validate_python(taken["message"])], taken["priority"]) for taken in envelope["result"]
    ]


async def _asked(journal: Journal, ask: Callable[[], Awaitable[T]]) -> T:
    async def work(_again: bool) -> T:
        return await ask()

    try:
        return await through_outage(work)
    except LookupError:
        raise OwnershipLost(journal.run_id) from None


def _taken(row: RowMapping, state: GraphAgentState) -> dict[str, Any]:
    """A message as its record shows it: a request of its own, with the time at which it was sent."""
    content, sent_at = _content.validate_python(row["content"]), row["sent_at"]
    request = stamp_request(ModelRequest([UserPromptPart(content, timestamp=sent_at)], timestamp=sent_at), state)
    return {
        "message_id": row["message_id"],
        "priority": row["priority"],
        "sent_by": row["sent_by"],
        "message": _request.dump_python(request, mode="json"),
    }
