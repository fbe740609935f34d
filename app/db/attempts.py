"""Attempts: the committed word that a step's body is about to start. A row without its step means: lost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.outage import through_outage

_BEGIN: Final = text(
    "select holdfast.begin_attempt(:run_id, :owner, :executor_id, :step, :kind, :name, :tool_call_id,"
    " cast(:input as jsonb), :repeatable, cast(:events as jsonb))"
)

_KEEP_HANDLE: Final = text(
    "update holdfast.attempts set handle = cast(:handle as jsonb)"
    " where run_id = :run_id and step = :step and attempt = :attempt"
)
_EARLIER_HANDLE: Final = text(
    "select handle from holdfast.attempts"
    " where run_id = :run_id and step = :step and attempt < :attempt and handle is not null"
    " order by attempt desc limit 1"
)
_IS_CANCELLED: Final = text(
    "select not exists (select 1 from dbos.workflow_status where workflow_uuid = :run_id and status <> 'CANCELLED')"
)


@dataclass(frozen=True)
class NewAttempt:
    """What is committed before a body starts. `repeatable` says whether a lost attempt may be followed by another."""

    run_id: str
    owner: str
    executor_id: str
    step: int
    kind: str
    name: str
    repeatable: bool
    tool_call_id: str | None = None
    input: Any = None


async def begin(engine: AsyncEngine, attempt: NewAttempt, events: Sequence[Mapping[str, Any]]) -> int | None:
    """Commit the attempt with its first events. Returns its number from 1; 0 when an earlier attempt of a call that
    must not be repeated was lost; None when the run is no longer this execution's."""
    values = {
        **vars(attempt),
        "input": None if attempt.input is None else json.dumps(attempt.input, ensure_ascii=False, allow_nan=False),
        "events": json.dumps(list(events), ensure_ascii=False, allow_nan=False),
    }

    async def work(_again: bool) -> int | None:
        async with engine.begin() as connection:
            return (await connection.execute(_BEGIN, values)).scalar_one()

    return await through_outage(work)


@dataclass(frozen=True)
class AttemptKey:
    """Which attempt of which step."""

    run_id: str
    step: int
    attempt: int


async def keep_handle(engine: AsyncEngine, attempt: AttemptKey, handle: Mapping[str, Any]) -> None:
    """Store what a later attempt of the step can pick the work up by."""
    values = {**vars(attempt), "handle": json.dumps(dict(handle))}

    async def work(_again: bool) -> None:
        async with engine.begin() as connection:
            await connection.execute(_KEEP_HANDLE, values)

    await through_outage(work)


async def earlier_handle(engine: AsyncEngine, attempt: AttemptKey) -> Mapping[str, Any] | None:
    """The handle of the newest attempt before this one that has left one."""

    async def work(_again: bool) -> Mapping[str, Any] | None:
        async with engine.connect() as connection:
            return (await connection.execute(_EARLIER_HANDLE, vars(attempt))).scalar_one_or_none()

    return await through_outage(work)


async def run_is_cancelled(engine: AsyncEngine, run_id: str) -> bool:
    """Whether the run was cancelled, or deleted since."""
    async with engine.connect() as connection:
        return (await connection.execute(_IS_CANCELLED, {"run_id": run_id})).scalar_one()
