"""Reading what a run recorded: its step envelopes and its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_ENVELOPES: Final = text(
    "select holdfast.to_jsonb_safe(output) as envelope from dbos.operation_outputs"
    " where workflow_uuid = :run_id and serialization = 'holdfast_json_v1'"
    " and (cast(:through_step as integer) is null or function_id <= :through_step) order by function_id"
)
_OUTPUT: Final = text(
    "select holdfast.to_jsonb_safe(output) as output from dbos.workflow_output where workflow_uuid = :run_id"
)


@dataclass(frozen=True)
class RunRecord:
    """The envelopes of a run's steps in order, and its output if it succeeded."""

    envelopes: list[dict[str, Any]]
    output: dict[str, Any] | None


async def read(engine: AsyncEngine, run_id: str, *, through_step: int | None = None) -> RunRecord:
    """What a run recorded, up to and including `through_step`; its output only when all of it is asked for."""
    async with engine.connect() as connection:
        rows = await connection.execute(_ENVELOPES, {"run_id": run_id, "through_step": through_step})
        envelopes: list[dict[str, Any]] = [row.envelope for row in rows if row.envelope is not None]
        if through_step is not None:
            return RunRecord(envelopes, None)
        found = (await connection.execute(_OUTPUT, {"run_id": run_id})).scalar_one_or_none()
        return RunRecord(envelopes, found)
