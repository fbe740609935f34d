"""Waiting and deciding: a run parks as a DELAYED row; a decision brings it back. Each is one transaction."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
# DBOS wakes a delayed run when its delay is over; the run then decides for itself what nobody decided in time.
_DECIDE_OVERDUE: Final = text(
    "update holdfast.approvals set decision = default_decision, decided_at = clock_timestamp(), decided_by = 'deadline'"
    " where run_id = :run_id and step = :step and decided_at is null and deadline <= clock_timestamp()"
)
_DECISIONS: Final = text(
    "select tool_call_id, kind, args, decision from holdfast.approvals"
    " where run_id = :run_id and step = :step and decided_at is not null"
)
_ADD_WAIT: Final = text(
    "insert into holdfast.approvals"
    " (run_id, step, tool_call_id, kind, tool, args, metadata, parameters, default_decision, deadline)"
    " values (:run_id, :step, :tool_call_id, :kind, :tool, cast(:args as jsonb), cast(:metadata as jsonb),"
    " cast(:parameters as jsonb), cast(:default_decision as jsonb),"
    " clock_timestamp() + make_interval(secs => cast(:timeout_seconds as double precision)))"
    " on conflict do nothing"
)
_FIRST_DEADLINE: Final = text(
    "select ceil(extract(epoch from min(deadline)) * 1000)::bigint from holdfast.approvals"
    " where run_id = :run_id and step = :step and decided_at is null"
)
# recovery_attempts counts claims; a wait is no failed recovery, so it gives its claim back.
_PARK: Final = text(
    "update dbos.workflow_status set status = 'DELAYED', owner_xid = null, started_at_epoch_ms = null,"
    " delay_until_epoch_ms = :until, recovery_attempts = greatest(recovery_attempts - 1, 0),"
    " updated_at = holdfast.now_ms() where workflow_uuid = :run_id"
)
# Acknowledged attempts count neither as lost nor as billed.
_END_ATTEMPT: Final = text(
    "update holdfast.attempts set acknowledged = not :billed, error = cast(:error as jsonb)"
    " where run_id = :run_id and step = :step and attempt = :attempt"
)
_LOCK_RUN: Final = text(
    "select status from dbos.workflow_status where workflow_uuid = :run_id and holdfast.is_run(name) for update"
)
_DECIDE: Final = text(
    "update holdfast.approvals set decision = cast(:decision as jsonb), decided_at = clock_timestamp(),"
    " decided_by = :decided_by where id = :id"
)
# The open one of a call that was asked about several times, else the last answer.
_FIND_WAIT: Final = text(
    "select id, decided_at is not null as decided from holdfast.approvals"
    " where run_id = :run_id and tool_call_id = :tool_call_id and kind = :kind"
    " order by decided_at is null desc, id desc limit 1"
)
_STILL_OPEN: Final = text("select count(*) from holdfast.approvals where run_id = :run_id and decided_at is null")
_WAKE: Final = text(
    "update dbos.workflow_status set status = 'ENQUEUED', delay_until_epoch_ms = null, updated_at = holdfast.now_ms()"
    " where workflow_uuid = :run_id and status = 'DELAYED'"
)


@dataclass(frozen=True)
class Wait:
    """One thing a run waits for: a tool call that needs a person or a result from outside.

    `parameters` is the JSON schema of the tool's arguments. After `timeout_seconds` the `default_decision` holds.
    """

    tool_call_id: str
    kind: str
    tool: str
    args: Any = None
    metadata: Any = None
    parameters: Any = None
    timeout_seconds: float | None = None
    default_decision: Mapping[str, Any] | None = None


class CallChanged(Exception):
    """A call is no longer the one that was decided on: other code has made other arguments of what the model wrote."""


class Decided(StrEnum):
    """What became of a decision."""

    recorded = "recorded"
    no_such_run = "no_such_run"
    run_not_waiting = "run_not_waiting"
    already_decided = "already_decided"


async def decisions_or_park(
    engine: AsyncEngine, run_id: str, owner: str, step: int, waits: Sequence[Wait]
) -> Mapping[str, Any] | None:
    """The decisions of all `waits` by tool call id; or park the run and return None.

    Both under the run's row lock, which deciders take too: a decision cannot fall between the look and the parking.
    `step` is the one that asks: what was decided for another step does not count, so that a decision is used once.
    Raises LookupError when the run is no longer this execution's, CallChanged when somebody decided on other arguments.
    """
    here = {"run_id": run_id, "step": step}
    async with engine.begin() as connection:
        if (await connection.execute(_LOCK_MINE, {"run_id": run_id, "owner": owner})).first() is None:
            raise LookupError(run_id)
        await connection.execute(_DECIDE_OVERDUE, here)
        decided = {(row.tool_call_id, row.kind): row for row in await connection.execute(_DECISIONS, here)}
        if all((wait.tool_call_id, wait.kind) in decided for wait in waits):
            return {wait.tool_call_id: _decision_on(wait, decided[wait.tool_call_id, wait.kind]) for wait in waits}
        for wait in waits:
            await connection.execute(_ADD_WAIT, here | _columns(wait))
        deadline = (await connection.execute(_FIRST_DEADLINE, here)).scalar_one()
        await connection.execute(_PARK, {"run_id": run_id, "until": deadline or _NO_DEADLINE_MS})
        return None


@dataclass(frozen=True)
class EndedAttempt:
    """An attempt of a step that came to nothing. `billed`: what it did until then may have cost something."""

    run_id: str
    owner: str
    step: int
    attempt: int
    error: Mapping[str, Any]
    billed: bool


async def park_until(engine: AsyncEngine, ended: EndedAttempt, moment: datetime) -> None:
    """Keep how the attempt ended and park the run until `moment`, when its step is tried again.

    Raises LookupError when the run is no longer this execution's.
    """
    async with engine.begin() as connection:
        if (await connection.execute(_LOCK_MINE, {"run_id": ended.run_id, "owner": ended.owner})).first() is None:
            raise LookupError(ended.run_id)
        await connection.execute(_END_ATTEMPT, vars(ended) | {"error": json.dumps(ended.error)})
        await connection.execute(_PARK, {"run_id": ended.run_id, "until": math.ceil(moment.timestamp() * 1000)})


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
            _DECIDE, {"id": found.id, "decision": json.dumps(decision, allow_nan=False), "decided_by": decided_by}
        )
        if (await connection.execute(_STILL_OPEN, {"run_id": run_id})).scalar_one() == 0:
            await connection.execute(_WAKE, {"run_id": run_id})
        return Decided.recorded


def _decision_on(wait: Wait, decided: Any) -> Any:
    if decided.args != wait.args:
        raise CallChanged(
            f"What was decided on {wait.tool!r} was decided for other arguments than those of its call now."
        )
    return decided.decision


def _columns(wait: Wait) -> dict[str, Any]:
    as_json = ("args", "metadata", "parameters", "default_decision")
    return {name: json.dumps(value) if name in as_json else value for name, value in vars(wait).items()}
