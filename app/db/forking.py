"""Copying what a run did up to one of its steps into a new run, which goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_SOURCE = text(
    """
    select holdfast.to_jsonb_safe(given.inputs) #> '{args,0}' as input,
           coalesce((select max(recorded.function_id) from dbos.operation_outputs as recorded
                     where recorded.workflow_uuid = run.workflow_uuid), 0) as last_step
    from dbos.workflow_status as run
    join dbos.workflow_input as given on given.workflow_uuid = run.workflow_uuid
    where holdfast.is_run(run.name) and run.workflow_uuid = :run_id
    """
)
_STEP_OF_MESSAGE = text("select step from holdfast.messages where run_id = :run_id and position = :position")

_COPY = [
    text(
        """
        insert into dbos.operation_outputs
            (workflow_uuid, function_id, function_name, output, error, child_workflow_id, started_at_epoch_ms,
             completed_at_epoch_ms, serialization, application_name, retention_timestamp)
        select :fork_id, function_id, function_name, output, error, child_workflow_id, started_at_epoch_ms,
               completed_at_epoch_ms, serialization, application_name, holdfast.now_ms()
        from dbos.operation_outputs where workflow_uuid = :source_id and function_id < :step
        """
    ),
    # Without its attempt, a call that was lost in the source would be made by the fork.
    text(
        """
        insert into holdfast.attempts
            (run_id, step, attempt, kind, name, executor_id, owner, tool_call_id, input, started_at, acknowledged)
        select :fork_id, step, attempt, kind, name, executor_id, owner, tool_call_id, input, started_at, acknowledged
        from holdfast.attempts where run_id = :source_id and step < :step
        """
    ),
    text(
        """
        update dbos.workflow_status as fork
        set forked_from = :source_id, workflow_timeout_ms = source.workflow_timeout_ms
        from dbos.workflow_status as source
        where fork.workflow_uuid = :fork_id and source.workflow_uuid = :source_id
        """
    ),
    text("update dbos.workflow_status set was_forked_from = true where workflow_uuid = :source_id"),
]


@dataclass(frozen=True)
class Source:
    """A run that can be forked: what it was started with, and its last recorded step (0: none)."""

    input: dict[str, Any]
    last_step: int


async def find_source(connection: AsyncConnection, run_id: str) -> Source | None:
    """The run to fork, or None if there is none."""
    row = (await connection.execute(_SOURCE, {"run_id": run_id})).one_or_none()
    return None if row is None else Source(row.input, row.last_step)


async def step_of_message(connection: AsyncConnection, run_id: str, position: int) -> int | None:
    """The step that made the message at a position of the run, from 1. None if there is no such message."""
    found = await connection.execute(_STEP_OF_MESSAGE, {"run_id": run_id, "position": position})
    return found.scalar_one_or_none()


async def copy_steps(connection: AsyncConnection, *, source_id: str, fork_id: str, step: int) -> None:
    """Give the fork, which is enqueued in the same transaction, everything that the source did before `step`."""
    for statement in _COPY:
        await connection.execute(statement, {"source_id": source_id, "fork_id": fork_id, "step": step})
