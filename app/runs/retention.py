"""Deleting what is old."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.retention import old_runs
from app.durable.client import RunClient

_CONVERSATIONS: Final = 100
"""At a time: each is looked at right before it is deleted."""


async def prune(engine: AsyncEngine, client: RunClient, age: timedelta) -> AsyncGenerator[int]:
    """Delete the conversations in which nothing has happened for that long; after each batch, how many runs it had."""
    while run_ids := await _old(engine, age, _CONVERSATIONS):
        await client.delete(run_ids)
        yield len(run_ids)


async def count_old(engine: AsyncEngine, age: timedelta) -> int:
    """How many runs `prune` would delete now, before forks that it deletes set others free."""
    return len(await _old(engine, age, 2**31))


async def _old(engine: AsyncEngine, age: timedelta, conversations: int) -> list[str]:
    async with engine.connect() as connection:
        return list(await old_runs(connection, age, conversations=conversations))
