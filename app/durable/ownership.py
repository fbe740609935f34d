"""Stops the step bodies of runs that another worker has taken over. DBOS itself only refuses their writes."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.owners import owners
from app.durable.dbos_internals import OwnershipLost

WATCH_SECONDS: Final = 1.0


@dataclass(eq=False)
class Guard:
    """A step body that runs on behalf of one execution of a run."""

    run_id: str
    owner: str
    body: asyncio.Task[Any]
    lost: bool = False

    def fence(self) -> None:
        """The run is somebody else's: stop the body, which closes its connections."""
        self.lost = True
        self.body.cancel()


class OwnershipWatch:
    """One query a second for all bodies in flight, for those too silent to notice by a refused write."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._guards: set[Guard] = set()

    @contextmanager
    def guard(self, run_id: str, owner: str) -> Generator[Guard]:
        """Watch over the current task. A fenced body leaves the block as OwnershipLost."""
        body = asyncio.current_task()
        assert body is not None
        guard = Guard(run_id, owner, body)
        self._guards.add(guard)
        try:
            yield guard
        except asyncio.CancelledError:
            if guard.lost:
                raise OwnershipLost(run_id) from None
            raise
        finally:
            self._guards.discard(guard)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            guards = list(self._guards)
            if not guards:
                continue
            try:
                found = await owners(self._engine, sorted({guard.run_id for guard in guards}))
            except (exc.DBAPIError, exc.TimeoutError, OSError):
                continue  # the database is away: nobody else can have taken the runs meanwhile
            for guard in guards:
                owner = found.get(guard.run_id)
                # Cancelled runs are left to DBOS's preemptible steps, which stop them with their own error.
                if owner is None or (owner.token != guard.owner and not owner.cancelled):
                    guard.fence()
