"""Reading runs: pages and single runs, their steps and messages, and the conversations they belong to.

The shapes come from our views. What decides which rows (pages, busy conversations) asks DBOS's own table, because the
views compute usage for every row before they could sort it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

FINISHED = frozenset({"succeeded", "failed", "cancelled"})

_STATUS = "holdfast.run_status(run.status, run.completed_at, run.workflow_deadline_epoch_ms)"

_RUN = text("select * from holdfast.runs where run_id = :run_id")

_RUN_STATUS = text(
    f"select {_STATUS} from dbos.workflow_status as run where holdfast.is_run(run.name) and run.workflow_uuid = :run_id"
)

_SUMMARIES = text(
    """
    select run_id, agent, agent_version, conversation_id, status, reason, input_tokens, output_tokens, requests,
           tool_calls, cost_usd, waiting_for, created_at, first_started_at, finished_at
    from holdfast.runs where run_id = any(:run_ids)
    order by created_at desc, run_id desc
    """
)

_STEPS = text("select * from holdfast.steps where run_id = :run_id order by step")

_MESSAGES = text("select position, step, kind, message from holdfast.messages where run_id = :run_id order by position")

_CONVERSATION = text(
    f"""
    select run.workflow_uuid as run_id, {_STATUS} as status,
           coalesce((select max(recorded.function_id) from dbos.operation_outputs as recorded
                     where recorded.workflow_uuid = run.workflow_uuid), 0) as last_step
    from dbos.workflow_status as run
    where holdfast.is_run(run.name) and run.attributes ->> 'conversation_id' = :conversation_id
    order by run.created_at, run.workflow_uuid
    """
)

_INHERITED = text(
    "select holdfast.to_jsonb_safe(inputs) #> '{args,0,history}' from dbos.workflow_input where workflow_uuid = :run_id"
)

# The text is searched first: parsing the input of each unfinished run would take long where thousands wait.
_UNFINISHED_READER = text(
    """
    select run.workflow_uuid from dbos.workflow_status as run
    join dbos.workflow_input as given on given.workflow_uuid = run.workflow_uuid
    where run.status in ('ENQUEUED', 'PENDING', 'DELAYED') and holdfast.is_run(run.name)
      and strpos(given.inputs, :run_id) > 0
      and holdfast.to_jsonb_safe(given.inputs) #> '{args,0,history}'
          @> jsonb_build_array(jsonb_build_object('run_id', cast(:run_id as text)))
    limit 1
    """
)

_DELETE_TRACES = [
    text(f"delete from holdfast.{table} where run_id = :run_id")
    for table in ("run_events", "run_cursors", "attempts", "approvals", "sent_messages")
]

_FILTERS = {
    "agent": "run.attributes ->> 'agent' = :agent",
    "conversation_id": "run.attributes ->> 'conversation_id' = :conversation_id",
    "status": f"{_STATUS} = :status",
}


@dataclass(frozen=True)
class PagePosition:
    """Where a page ended: the last run shown. `created_at` is in epoch milliseconds."""

    created_at: int
    run_id: str


@dataclass(frozen=True)
class ConversationRun:
    """A run's place in its conversation; `last_step` is 0 before the first step is recorded."""

    run_id: str
    status: str
    last_step: int


async def find_run(connection: AsyncConnection, run_id: str) -> RowMapping | None:
    """The run as the view `holdfast.runs` shows it."""
    return (await connection.execute(_RUN, {"run_id": run_id})).mappings().one_or_none()


async def find_status(connection: AsyncConnection, run_id: str) -> str | None:
    """The run's state alone, which costs one index lookup."""
    return (await connection.execute(_RUN_STATUS, {"run_id": run_id})).scalar_one_or_none()


async def page_of_runs(
    connection: AsyncConnection, filters: Mapping[str, str], *, after: PagePosition | None, limit: int
) -> tuple[Sequence[str], PagePosition | None]:
    """The ids of one page of runs, newest first, and the page's end if more runs follow.

    `filters` may name agent, conversation_id and status.
    """
    conditions = ["holdfast.is_run(run.name)", *(_FILTERS[name] for name in filters)]
    parameters: dict[str, Any] = {**filters, "amount": limit + 1}
    if after is not None:
        conditions.append("(run.created_at, run.workflow_uuid) < (:after_created_at, :after_run_id)")
        parameters |= {"after_created_at": after.created_at, "after_run_id": after.run_id}
    page = text(
        f"select run.workflow_uuid, run.created_at from dbos.workflow_status as run where {' and '.join(conditions)} "
        "order by run.created_at desc, run.workflow_uuid desc limit :amount"
    )
    found = (await connection.execute(page, parameters)).all()
    run_ids = [run_id for run_id, _ in found[:limit]]
    end = PagePosition(created_at=found[limit - 1][1], run_id=run_ids[-1]) if len(found) > limit else None
    return run_ids, end


async def summaries(connection: AsyncConnection, run_ids: Sequence[str]) -> Sequence[RowMapping]:
    """The named runs without their prompts and outputs, newest first."""
    return (await connection.execute(_SUMMARIES, {"run_ids": list(run_ids)})).mappings().all()


async def list_steps(connection: AsyncConnection, run_id: str) -> Sequence[RowMapping]:
    """The recorded steps of a run, in order."""
    return (await connection.execute(_STEPS, {"run_id": run_id})).mappings().all()


async def list_messages(connection: AsyncConnection, run_id: str) -> Sequence[RowMapping]:
    """The messages that a run added to its conversation, in order."""
    return (await connection.execute(_MESSAGES, {"run_id": run_id})).mappings().all()


async def conversation_runs(connection: AsyncConnection, conversation_id: str) -> list[ConversationRun]:
    """The runs of a conversation, oldest first."""
    rows = await connection.execute(_CONVERSATION, {"conversation_id": conversation_id})
    return [ConversationRun(run_id=run_id, status=status, last_step=last) for run_id, status, last in rows]


async def inherited_history(connection: AsyncConnection, run_id: str) -> Sequence[dict[str, Any]]:
    """The links to earlier runs that a run was started with: the first run of a conversation has some if it is a
    fork."""
    return (await connection.execute(_INHERITED, {"run_id": run_id})).scalar_one_or_none() or ()


async def unfinished_reader(connection: AsyncConnection, run_id: str) -> str | None:
    """A run that is not finished and has this one in its history, of whatever conversation."""
    return (await connection.execute(_UNFINISHED_READER, {"run_id": run_id})).scalar_one_or_none()


async def delete_traces(connection: AsyncConnection, run_id: str) -> None:
    """Remove what our own tables hold of a run, except the idempotency key that started it.

    The key stays, so that a late retry of the request does not run it once more.
    """
    for statement in _DELETE_TRACES:
        await connection.execute(statement, {"run_id": run_id})
