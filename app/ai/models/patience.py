"""Giving up on a stream that is silent for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Self, TypeVar

T = TypeVar("T")


class Patience:
    """Waits for events, `seconds` at most since the last one that counted; None waits for ever.

    The time that the reader takes between two events does not count. One timer looks now and then, because a timer for
    each event would cost more than reading it.
    """

    def __init__(self, seconds: float | None):
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._reader: asyncio.Task[object] | None = None
        self._cancelled_before: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self._seconds is not None:
            self._timer = self._loop.call_later(self._seconds, self._look, self._seconds)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._timer:
            self._timer.cancel()

    async def wait(self, event: Awaitable[T]) -> T:
        """Wait for an event. TimeoutError when the patience is at its end."""
        self._reader, self._waiting_since = asyncio.current_task(), self._loop.time()
        try:
            return await event
        except asyncio.CancelledError as err:
            # Only our own cancellation is a timeout; somebody else's at the same moment goes first.
            before = self._cancelled_before
            if before is not None and self._reader and self._reader.uncancel() <= before:
                raise TimeoutError from err
            raise
        finally:
            self._waited += self._loop.time() - self._waiting_since
            self._waiting_since = None

    def renew(self) -> None:
        """Begin to wait anew: an event counted."""
        self._waited = 0.0

    def _look(self, seconds: float) -> None:
        since = self._waiting_since
        left = seconds - self._waited - (self._loop.time() - since if since is not None else 0.0)
        if left > 0 or since is None or self._reader is None:
            self._timer = self._loop.call_later(max(left, seconds / 10), self._look, seconds)
            return
        self._cancelled_before = self._reader.cancelling()
        self._reader.cancel()
