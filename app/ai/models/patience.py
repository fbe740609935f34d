"""Giving up on a stream that is silent for too long, or that does not come to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Self, TypeVar

T = TypeVar("T")

_REST = 0.05
"""Seconds between two looks at a reader that is busy beyond the end."""


class Patience:
    """Waits for events, `seconds` at most since the last one that counted, and in all until the loop's time `deadline`.

    None waits for ever. The time that the reader takes between two events does not count as silence. One timer looks
    now and then, because a timer for each event would cost more than reading it.
    """

    def __init__(self, seconds: float | None, deadline: float | None = None):
        self._seconds = seconds
        self._deadline = deadline
        self._loop = asyncio.get_running_loop()
        self._waited = 0.0
        self._waiting_since: float | None = None
        self._reader: asyncio.Task[object] | None = None
        self._cancelled_before: int | None = None
        self._why = ""
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._look_again()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._timer:
            self._timer.cancel()

    async def wait(self, event: Awaitable[T]) -> T:
        """Wait for an event. TimeoutError says why when the patience is at its end."""
        self._reader, self._waiting_since = asyncio.current_task(), self._loop.time()
        try:
            return await event
        except asyncio.CancelledError as err:
            # Only our own cancellation is a timeout; somebody else's at the same moment goes first.
            before = self._cancelled_before
            if before is not None and self._reader and self._reader.uncancel() <= before:
                raise TimeoutError(self._why) from err
            raise
        finally:
            self._waited += self._loop.time() - self._waiting_since
            self._waiting_since = None

    def renew(self) -> None:
        """Begin to wait anew: an event counted."""
        self._waited = 0.0

    def _left(self) -> tuple[float, str] | None:
        """Seconds until the patience ends, and why it will."""
        ends: list[tuple[float, str]] = []
        now = self._loop.time()
        if self._seconds is not None:
            waiting = now - self._waiting_since if self._waiting_since is not None else 0.0
            ends.append((self._seconds - self._waited - waiting, f"said nothing for {self._seconds:g} s"))
        if self._deadline is not None:
            ends.append((self._deadline - now, "did not come to its end in time"))
        return min(ends, default=None)

    def _look_again(self) -> None:
        if (end := self._left()) is None:
            return
        left, self._why = end
        if left > 0 or self._waiting_since is None or self._reader is None:
            # A reader that is busy with an event is not disturbed: it meets the end when it waits for the next one.
            self._timer = self._loop.call_later(max(left, _REST), self._look_again)
            return
        self._cancelled_before = self._reader.cancelling()
        self._reader.cancel()
