"""Reading the event logs of runs, and hearing that they have grown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

logger = logging.getLogger(__name__)

_EVENTS = text(
    """
    select seq, attempt, step, type, data, created_at from holdfast.run_events
    where run_id = :run_id and seq > :after order by seq limit :amount
    """
)

_LAST_SEQ = text("select coalesce((select last_seq from holdfast.run_cursors where run_id = :run_id), 0)")


@dataclass(frozen=True)
class StoredEvent:
    """One numbered thing that happened in a run. `attempt` and `step` are None on state events."""

    seq: int
    attempt: int | None
    step: int | None
    type: str
    data: dict[str, Any]
    created_at: datetime


async def read_events(
    connection: AsyncConnection, run_id: str, *, after: int, limit: int = 500
) -> Sequence[StoredEvent]:
    """The events with a seq above `after`, in order, at most `limit`."""
    rows = await connection.execute(_EVENTS, {"run_id": run_id, "after": after, "amount": limit})
    return [StoredEvent(**row) for row in rows.mappings()]


async def last_seq(connection: AsyncConnection, run_id: str) -> int:
    """The seq of the newest event, 0 if there is none."""
    return (await connection.execute(_LAST_SEQ, {"run_id": run_id})).scalar_one()


async def listen(
    url: str, channel: str, on_payload: Callable[[str], None], on_connected: Callable[[], None], *, retry_seconds: float
) -> None:
    """Hand every notification of a channel to `on_payload`, for ever, over one connection that is made anew when lost.

    `url` is a libpq URL of a direct connection. What was said while disconnected is lost; `on_connected` tells that
    listening (again) begins.
    """
    while True:
        try:
            connection = await psycopg.AsyncConnection.connect(
                url, autocommit=True, connect_timeout=2, keepalives_idle=5, keepalives_interval=2, keepalives_count=3
            )
            async with connection:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
                on_connected()
                async for notification in connection.notifies():
                    on_payload(notification.payload)
        except psycopg.Error as error:
            logger.debug("event channel lost, connecting again: %s", error)
        await asyncio.sleep(retry_seconds)
