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
