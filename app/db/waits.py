"""Waiting and deciding: a run parks as a DELAYED row; a decision brings it back. Each is one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Far enough for any person to answer, small enough for JavaScript and Postgres timestamps.
_NO_DEADLINE_MS: Final = 2**52

_LOCK_MINE: Final = text(
    "select 1 from dbos.workflow_status where workflow_uuid = :run_id and owner_xid = :owner and status = 'PENDING'"
    " for update"
)
_DECISIONS: Final = text(
    "select tool_call_id, kind, decision from holdfast.approvals"
    " where run_id = :run_id and tool_call_id = any(:tool_call_ids) and decided_at is not null"
)
_ADD_WAIT: Final = text(
    "insert into holdfast.approvals (run_id, tool_call_id, kind, tool, args, metadata)"
    " values (:run_id, :tool_call_id, :kind, :tool, cast(:args as jsonb), cast(:metadata as jsonb))"
    " on conflict do nothing"
)
# recovery_attempts counts claims; a wait is no failed recovery, so it gives its claim back.
_PARK: Final = text(
    "update dbos.workflow_status set status = 'DELAYED', owner_xid = null, started_at_epoch_ms = null,"
    " delay_until_epoch_ms = :until, recovery_attempts = greatest(recovery_attempts - 1, 0),"
    " updated_at = holdfast.now_ms() where workflow_uuid = :run_id"
)
_LOCK_RUN: Final = text(
    "select status from dbos.workflow_status where workflow_uuid = :run_id and holdfast.is_run(name) for update"
)
_DECIDE: Final = text(
    "update holdfast.approvals set decision = cast(:decision as jsonb), decided_at = clock_timestamp(),"
    " decided_by = :decided_by where run_id = :run_id and tool_call_id = :tool_call_id and kind = :kind"
    " and decided_at is null"
)
_FIND_WAIT: Final = text(
    "select decision, decided_at is not null as decided from holdfast.approvals"
    " where run_id = :run_id and tool_call_id = :tool_call_id and kind = :kind"
)
_STILL_OPEN: Final = text("select count(*) from holdfast.approvals where run_id = :run_id and decided_at is null")
_WAKE: Final = text(
    "update dbos.workflow_status set status = 'ENQUEUED', delay_until_epoch_ms = null, updated_at = holdfast.now_ms()"
    " where workflow_uuid = :run_id and status = 'DELAYED'"
)


@dataclass(frozen=True)
class Wait:
    """One thing a run waits for: a tool call that needs a person or a result from outside."""

    tool_call_id: str
    kind: str
    tool: str
    args: Any = None
    metadata: Any = None


class Decided(StrEnum):
    """What became of a decision."""

    recorded = "recorded"
    no_such_run = "no_such_run"
    run_not_waiting = "run_not_waiting"
    already_decided = "already_decided"


async def decisions_or_park(
    engine: AsyncEngine, run_id: str, owner: str, waits: Sequence[Wait]
) -> Mapping[str, Any] | None:
    """The decisions of all `waits` by tool call id; or park the run and return None.

    Both under the run's row lock, which deciders take too: a decision cannot fall between the look and the parking.
    Raises LookupError when the run is no longer this execution's.
    """
    async with engine.begin() as connection:
        if (await connection.execute(_LOCK_MINE, {"run_id": run_id, "owner": owner})).first() is None:
            raise LookupError(run_id)
        ids = [wait.tool_call_id for wait in waits]
        rows = await connection.execute(_DECISIONS, {"run_id": run_id, "tool_call_ids": ids})
        decided = {(row.tool_call_id, row.kind): row.decision for row in rows}
        if all((wait.tool_call_id, wait.kind) in decided for wait in waits):
            return {wait.tool_call_id: decided[wait.tool_call_id, wait.kind] for wait in waits}
        for wait in waits:
            values = {
                **vars(wait),
                "run_id": run_id,
                "args": json.dumps(wait.args),
                "metadata": json.dumps(wait.metadata),
            }
            await connection.execute(_ADD_WAIT, values)
        await connection.execute(_PARK, {"run_id": run_id, "until": _NO_DEADLINE_MS})
        return None


async def decide(
    engine: AsyncEngine, run_id: str, wait: Wait, decision: Mapping[str, Any], *, decided_by: str
) -> Decided:
    """Record a decision once and, when nothing else is open, put the run back on its queue."""
    key = {"run_id": run_id, "tool_call_id": wait.tool_call_id, "kind": wait.kind}
    async with engine.begin() as connection:
        status = (await connection.execute(_LOCK_RUN, {"run_id": run_id})).scalar_one_or_none()
        if status is None:
            return Decided.no_such_run
        found = (await connection.execute(_FIND_WAIT, key)).first()
        if found is None or status not in ("DELAYED", "ENQUEUED", "PENDING"):
            return Decided.run_not_waiting
        if found.decided:
            return Decided.already_decided
        await connection.execute(
            _DECIDE, {**key, "decision": json.dumps(decision, allow_nan=False), "decided_by": decided_by}
        )
        if (await connection.execute(_STILL_OPEN, {"run_id": run_id})).scalar_one() == 0:
            await connection.execute(_WAKE, {"run_id": run_id})
        return Decided.recorded
