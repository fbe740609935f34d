"""Pauses that endpoints of providers have asked for: one row each, shared by all workers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.outage import through_outage

_UNTIL: Final = text("select until from holdfast.cooldowns where endpoint = :endpoint and until > clock_timestamp()")
_EXTEND: Final = text(
    "insert into holdfast.cooldowns as known (endpoint, until) values (:endpoint, :until)"
    " on conflict (endpoint) do update set until = excluded.until, told_at = clock_timestamp()"
    " where known.until < excluded.until"
)


async def until(engine: AsyncEngine, endpoint: str) -> datetime | None:
    """The end of the endpoint's pause; None when there is none."""

    async def work(_again: bool) -> datetime | None:
        async with engine.connect() as connection:
            return (await connection.execute(_UNTIL, {"endpoint": endpoint})).scalar_one_or_none()

    return await through_outage(work)


async def extend(engine: AsyncEngine, endpoint: str, end: datetime) -> None:
    """Note that the endpoint wants no requests before `end`; a later end that is known stays."""

    async def work(_again: bool) -> None:
        async with engine.begin() as connection:
            await connection.execute(_EXTEND, {"endpoint": endpoint, "until": end})

    await through_outage(work)
