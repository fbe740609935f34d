"""Letting a run that ended without success go on: one transaction, and no finished step is forgotten."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

_LOCK: Final = text(
    "select status, attributes ->> 'conversation_id' as conversation_id from dbos.workflow_status"
    " where workflow_uuid = :run_id and holdfast.is_run(name) for update"
)
_RESUMABLE: Final = frozenset({"ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})

# The error column is set when a step failed outside its body, which DBOS records by itself.
_FORGET_FAILED_STEPS: Final = text(
    "delete from dbos.operation_outputs where workflow_uuid = :run_id and serialization = 'holdfast_json_v1'"
    " and (error is not null or holdfast.to_jsonb_safe(output) ->> 'outcome' = 'failed')"
    " returning function_id, holdfast.to_jsonb_safe(output) #>> '{error,type}' as error_type"
)
# Their tools did return; only the value could not be kept. Unacknowledged, such a call is one whose outcome is unknown,
# and is not made a second time unless it may be.
_DONE_BUT_NOT_KEPT: Final = frozenset({"ResultTooLarge", "ResultNotSerializable"})
_ACKNOWLEDGE: Final = text(
    "update holdfast.attempts set acknowledged = true where run_id = :run_id and step = any(:steps)"
)
_FORGET_OUTCOME: Final = text("delete from dbos.workflow_output where workflow_uuid = :run_id")
_TAKE_MESSAGES: Final = text("update holdfast.run_cursors set closed = false where run_id = :run_id and closed")
_ENQUEUE: Final = text(
    "update dbos.workflow_status set status = 'ENQUEUED', queue_name = :queue, deduplication_id = :conversation_id,"
    " owner_xid = null, recovery_attempts = 0, workflow_deadline_epoch_ms = null, started_at_epoch_ms = null,"
    " completed_at = null, updated_at = holdfast.now_ms() where workflow_uuid = :run_id"
)


class Resumed(StrEnum):
    """What became of a resume."""

    enqueued = "enqueued"
    not_resumable = "not_resumable"
    conversation_busy = "conversation_busy"


async def resume(engine: AsyncEngine, run_id: str, *, queue: str) -> Resumed:
    """Put a failed, cancelled or dead-lettered run back on its queue. Its failed steps are tried again, with an
    attempt number of their own; its finished ones are not."""
    try:
        async with engine.begin() as connection:
            run = (await connection.execute(_LOCK, {"run_id": run_id})).first()
            if run is None or run.status not in _RESUMABLE:
                return Resumed.not_resumable
            failed = (await connection.execute(_FORGET_FAILED_STEPS, {"run_id": run_id})).all()
            steps = [step for step, error_type in failed if error_type not in _DONE_BUT_NOT_KEPT]
            await connection.execute(_ACKNOWLEDGE, {"run_id": run_id, "steps": steps})
            await connection.execute(_FORGET_OUTCOME, {"run_id": run_id})
            await connection.execute(_TAKE_MESSAGES, {"run_id": run_id})
            again = {"run_id": run_id, "queue": queue, "conversation_id": run.conversation_id}
            await connection.execute(_ENQUEUE, again)
            return Resumed.enqueued
    except IntegrityError:
        # Another run of the conversation holds its deduplication id.
        return Resumed.conversation_busy
