"""How many runs, or requests to a model, go on at once."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from app.ai.checks import expect
from app.ai.exceptions import ConcurrencyLimitExceeded

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = (
    "AbstractConcurrencyLimiter",
    "AnyConcurrencyLimit",
    "ConcurrencyLimit",
    "ConcurrencyLimiter",
    "get_concurrency_context",
    "normalize_to_limiter",
)


@dataclass(frozen=True)
class ConcurrencyLimit:
    """How many may run at once, and how many may wait for that; None lets any number wait."""

    max_running: int
    max_queued: int | None = None


class AbstractConcurrencyLimiter(ABC):
    """Hands out slots. Subclass it to share a limit between processes."""

    @abstractmethod
    async def acquire(self, source: str) -> None:
        """Wait for a slot. `source` tells who wants it. May raise `ConcurrencyLimitExceeded`."""

    @abstractmethod
    def release(self) -> None:
        """Give a slot back."""


class ConcurrencyLimiter(AbstractConcurrencyLimiter):
    """Hands out slots first come, first served, on one event loop; share it to share the limit."""

    def __init__(
        self,
        max_running: int,
        *,
        max_queued: int | None = None,
        name: str | None = None,
        tracer: Tracer | None = None,
    ):
        """`tracer` makes the spans of waits, by default that of the program."""
        if max_running < 1:
            raise ValueError(f"max_running must be at least 1, not {max_running}")
        self._limit = ConcurrencyLimit(max_running, max_queued)
        self._name = name
        self._tracer = tracer
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @classmethod
    def from_limit(
        cls, limit: int | ConcurrencyLimit, *, name: str | None = None, tracer: Tracer | None = None
    ) -> Self:
        """A limiter of its own for a limit."""
        if isinstance(limit, int):
            return cls(limit, name=name, tracer=tracer)
        return cls(limit.max_running, max_queued=limit.max_queued, name=name, tracer=tracer)

    @property
    def name(self) -> str | None:
        """What the limiter is called in messages."""
        return self._name

    @property
    def max_running(self) -> int:
        """How many may run at once."""
        return self._limit.max_running

    @property
    def running_count(self) -> int:
        """How many run now."""
        return self._running

    @property
    def waiting_count(self) -> int:
        """How many wait now."""
        return len(self._waiting)

    @property
    def available_count(self) -> int:
        """How many more could run now."""
        return self.max_running - self._running

    async def acquire(self, source: str) -> None:
        if self._running < self.max_running:
            self._running += 1
            return
        limit = self._limit.max_queued
        if limit is not None and len(self._waiting) >= limit:
            who = f"{self._name!r} for {source}" if self._name else source
            raise ConcurrencyLimitExceeded(
                f"No slot is free ({who}): {self._running} are running and {len(self._waiting)} waiting, "
                f"which is max_queued={limit}"
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            with self._waiting_span(source):
                await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The slot came just as the wait was given up.
                self.release()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise

    def _waiting_span(self, source: str) -> AbstractContextManager[Any]:
        from opentelemetry.trace import get_tracer  # most runs never wait

        about = {
            "source": source,
            "waiting_count": self.waiting_count,
            "max_running": self.max_running,
            "max_queued": self._limit.max_queued,
            "limiter_name": self._name,
        }
        return (self._tracer or get_tracer("app.ai")).start_as_current_span(
            f"waiting for {self._name or source} concurrency",
            attributes={key: value for key, value in about.items() if value is not None},
        )

    def release(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                # The slot goes on to the next one, so as many are running as before.
                turn.set_result(None)
                return
        self._running -= 1


AnyConcurrencyLimit: TypeAlias = int | ConcurrencyLimit | AbstractConcurrencyLimiter | None
"""A number, a limit with a queue, a limiter to share, or no limit."""


def normalize_to_limiter(limit: AnyConcurrencyLimit, *, name: str | None = None) -> AbstractConcurrencyLimiter | None:
    """The limiter that keeps a limit."""
    if limit is None or isinstance(limit, AbstractConcurrencyLimiter):
        return limit
    expect("max_concurrency", limit, "a number, a ConcurrencyLimit or a limiter", int, ConcurrencyLimit)
    return ConcurrencyLimiter.from_limit(limit, name=name)


@asynccontextmanager
async def get_concurrency_context(limiter: AbstractConcurrencyLimiter | None, source: str) -> AsyncGenerator[None]:
    """Hold a slot within the block."""
    if limiter is None:
        yield
        return
    await limiter.acquire(source)
    try:
        yield
    finally:
        limiter.release()
