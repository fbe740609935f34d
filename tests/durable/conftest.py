"""Runs in a real database, claimed by nobody in particular."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.ids import uuid7
from app.db.engine import dbos_url, make_engine
from app.durable.client import NewRun, RunClient
from app.durable.inputs import RunInput

ClaimedRun = Callable[..., Awaitable[str]]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = make_engine(database_url, pool_size=20, timeout=10)
    yield engine
    await engine.dispose()


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[RunClient]:
    client = RunClient(dbos_url(database_url))
    yield client
    await client.close()


@pytest.fixture
def claimed_run(engine: AsyncEngine, client: RunClient) -> ClaimedRun:
    """Start a run and let worker `worker` hold it with token `owner`, as DBOS's claim would."""

    async def start(owner: str = "owner-1", worker: str = "worker-1") -> str:
        run_id = str(uuid7())
        run = NewRun(run_id, RunInput(agent="demo", prompt="hello", conversation_id=run_id))
        async with engine.begin() as connection:
            await client.enqueue(connection, run)
        await claim(engine, run_id, owner, worker)
        return run_id

    return start


async def claim(engine: AsyncEngine, run_id: str, owner: str, worker: str) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "update dbos.workflow_status set status = 'PENDING', owner_xid = :owner, executor_id = :worker,"
                " recovery_attempts = recovery_attempts + 1 where workflow_uuid = :run_id"
            ),
            {"run_id": run_id, "owner": owner, "worker": worker},
        )


async def rows(engine: AsyncEngine, query: str, **values: object) -> list[tuple[object, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(query), values)]
