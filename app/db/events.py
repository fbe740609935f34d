"""Writing run events. `seq` is drawn under the run's row lock, so it has no gaps whoever writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.outage import through_outage

_APPEND: Final = text("select holdfast.append_events(:run_id, :owner, cast(:events as jsonb), :again)")
_NOTIFY: Final = text("select pg_notify(:channel, :payload)")


async def append(engine: AsyncEngine, run_id: str, owner: str, events: Sequence[Mapping[str, Any]]) -> int | None:
    """Commit events of an execution. Returns the last seq, None when the run is no longer this execution's.

    An event is `{type, data, step, attempt, batch}`; its data must be JSON without NUL or lone surrogates.
    """
    values = {"run_id": run_id, "owner": owner, "events": json.dumps(list(events), ensure_ascii=False, allow_nan=False)}

    async def work(again: bool) -> int | None:
        async with engine.begin() as connection:
            return (await connection.execute(_APPEND, {**values, "again": again})).scalar_one()

    return await through_outage(work)


async def notify(engine: AsyncEngine, channel: str, run_ids: Sequence[str]) -> None:
    """Wake the followers of these runs, outside any event transaction: NOTIFY inside one serialises all commits."""
    # A payload may hold 8,000 bytes; 200 ids of 36 characters stay below.
    async with engine.begin() as connection:
        for start in range(0, len(run_ids), 200):
            chunk = " ".join(run_ids[start : start + 200])
            await connection.execute(_NOTIFY, {"channel": channel, "payload": chunk})
