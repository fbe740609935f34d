"""Working through a Postgres restart: a worker keeps its runs and waits until the database answers again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy import exc

T = TypeVar("T")

_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0


async def through_outage(work: Callable[[bool], Awaitable[T]]) -> T:
    """The result of `work(again)`, called until the database is there; `again` is true from the second call on.

    A commit whose answer was lost may have happened: `work` must be safe to call again.
    """
    pause, again = _FIRST_PAUSE_SECONDS, False
    while True:
        try:
            return await work(again)
        except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, OSError):
            again = True
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
