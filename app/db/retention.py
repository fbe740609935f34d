"""Finding what is old enough to be deleted: whole conversations, so that none loses its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A fork goes on to read what came before it in its source: a conversation is kept as long as its forks.
_OLD: Final = text(
    """
    with old as (
        select array_agg(run.workflow_uuid) as run_ids, max(coalesce(run.completed_at, run.updated_at)) as ended
        from dbos.workflow_status as run where holdfast.is_run(run.name)
        group by coalesce(run.attributes ->> 'conversation_id', run.workflow_uuid)
        having bool_and(run.status not in ('ENQUEUED', 'PENDING', 'DELAYED'))
           and max(coalesce(run.completed_at, run.updated_at)) < holdfast.now_ms() - :age_ms
    )
    select old.run_ids from old
    where not exists (select 1 from dbos.workflow_status as fork
                      where fork.forked_from = any(old.run_ids) and fork.workflow_uuid <> all(old.run_ids))
    order by old.ended limit :conversations
    """
)


async def old_runs(connection: AsyncConnection, age: timedelta, *, conversations: int) -> Sequence[str]:
    """The runs of some conversations in which nothing has happened for that long, the oldest first."""
    values = {"age_ms": int(age.total_seconds() * 1000), "conversations": conversations}
    return [run_id for (run_ids,) in await connection.execute(_OLD, values) for run_id in run_ids]
