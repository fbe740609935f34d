"""Reading what runs wait for, or waited for, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

# A run that ended while it waited leaves its questions behind: they are closed, nobody can answer them.
_STATUS = """
case when wait.decided_at is not null then 'decided'
     when run.status in ('DELAYED', 'ENQUEUED', 'PENDING') then 'open'
     else 'closed' end
"""
_SELECT = f"""
select wait.id, wait.run_id, run.attributes ->> 'agent' as agent, wait.tool_call_id, wait.kind, wait.tool, wait.args,
       wait.parameters, wait.metadata, wait.requested_at, wait.deadline, {_STATUS} as status, wait.decision,
       wait.decided_at, wait.decided_by
from holdfast.approvals as wait
join dbos.workflow_status as run on run.workflow_uuid = wait.run_id
"""
_NEWEST_FIRST = " order by wait.id desc limit :amount"

_OF_CALL = text(
    f"{_SELECT} where wait.run_id = :run_id and wait.tool_call_id = :tool_call_id"
    " order by wait.decided_at is null desc, wait.id desc limit 1"
)
_PAGES = {
    None: text(f"{_SELECT} where wait.id < :before {_NEWEST_FIRST}"),
    "decided": text(f"{_SELECT} where wait.id < :before and wait.decided_at is not null {_NEWEST_FIRST}"),
    **{
        status: text(
            f"{_SELECT} where wait.id < :before and wait.decided_at is null and {_STATUS} = '{status}' {_NEWEST_FIRST}"
        )
        for status in ("open", "closed")
    },
}
_FROM_THE_NEWEST = 2**62


async def find_approval(connection: AsyncConnection, run_id: str, tool_call_id: str) -> RowMapping | None:
    """What a run wants to know about a tool call: the open question, else the one that was decided last."""
    found = await connection.execute(_OF_CALL, {"run_id": run_id, "tool_call_id": tool_call_id})
    return found.mappings().one_or_none()


async def page_of_approvals(
    connection: AsyncConnection, *, status: str | None, before: int | None, limit: int
) -> tuple[Sequence[RowMapping], int | None]:
    """One page of questions, newest first, and the id to go on `before`, if more follow.

    `status` is open, decided, closed or None for all.
    """
    values = {"before": before or _FROM_THE_NEWEST, "amount": limit + 1}
    rows = (await connection.execute(_PAGES[status], values)).mappings().all()
    return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None
