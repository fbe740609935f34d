"""Who owns a run at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_OWNERS: Final = text(
    "select workflow_uuid, owner_xid, status from dbos.workflow_status where workflow_uuid = any(:run_ids)"
)


@dataclass(frozen=True)
class Owner:
    """The execution that owns a run, if any, and whether the run was cancelled."""

    token: str | None
    cancelled: bool


async def owners(engine: AsyncEngine, run_ids: Sequence[str]) -> dict[str, Owner]:
    """Owner by run id; a deleted run is absent."""
    async with engine.connect() as connection:
        rows = await connection.execute(_OWNERS, {"run_ids": list(run_ids)})
        return {row.workflow_uuid: Owner(row.owner_xid, row.status == "CANCELLED") for row in rows}
