"""Answering in time: a database that is down or silent becomes an `Unavailable` error, never a hanging request."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import exc

from app.runs import refusals

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

ANSWER_SECONDS = 2.8
_NOT_MIGRATED = frozenset({"3F000", "42P01", "42883", "42703"})  # schema, table, function or column is missing


def answers_in_time(verb: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Awaitable[T]]:
    """Let a verb that talks to Postgres end within `ANSWER_SECONDS`.

    Raises: Unavailable.
    """

    @wraps(verb)
    async def limited(*args: P.args, **kwargs: P.kwargs) -> T:
        # A task of its own, because cancelling a query waits for a server that may be frozen.
        work = asyncio.ensure_future(verb(*args, **kwargs))
        try:
            done, _ = await asyncio.wait({work}, timeout=ANSWER_SECONDS)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if not done:
            work.add_done_callback(_forget)
            work.cancel()
            raise refusals.database_silent(ANSWER_SECONDS)
        try:
            return work.result()
        except (exc.SQLAlchemyError, OSError) as error:
            raise _translated(error) from error

    return limited


def _forget(work: asyncio.Future[Any]) -> None:
    if not work.cancelled():
        work.exception()


def _translated(error: Exception) -> Exception:
    if isinstance(error, exc.ProgrammingError) and getattr(error.orig, "sqlstate", None) in _NOT_MIGRATED:
        return refusals.not_migrated()
    logger.warning("a request failed on Postgres: %s", error)
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError | OSError):
        return refusals.database_down()
    return error
