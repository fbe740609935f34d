"""Following runs: one reader per followed run, whatever the number of clients that follow it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.event_reads import StoredEvent, listen, read_events
from app.db.runs import FINISHED, find_status
from app.durable.names import EVENT_CHANNEL, TERMINAL_EVENTS

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
_KEPT_EVENTS = 1000
_PAGE = 500
_STATE_CHECK_POLLS = 5


class Tail:
    """The newest events of one run, read once for all its followers.

    `start` is a seq that exists, or 0.
    """

    def __init__(self, engine: AsyncEngine, run_id: str, start: int) -> None:
        self._engine = engine
        self._run_id = run_id
        self._kept: deque[StoredEvent] = deque()
        self._floor = start
        self._position = start
        self._newest = ""
        self.ended = False
        self.followers = 0
        self.hint = asyncio.Event()
        self.grown = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    def join(self) -> None:
        """Count one follower more; the first one starts the reading."""
        self.followers += 1
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())

    def leave(self) -> bool:
        """Count one follower less; whether it was the last, which ends the reading."""
        self.followers -= 1
        if self._reader is not None and not self.followers:
            self._reader.cancel()
        return not self.followers

    async def events_after(self, seq: int) -> Sequence[StoredEvent]:
        """What is known to follow `seq`, without waiting for more: from memory, or from the table if need be."""
        if seq >= self._floor:
            return [event for event in self._kept if event.seq > seq]
        async with self._engine.connect() as connection:
            return await read_events(connection, self._run_id, after=seq, limit=_PAGE)

    async def _read(self) -> None:
        idle_polls = 0
        try:
            while not self.ended:
                self.hint.clear()
                if await self._read_page(check_state=idle_polls % _STATE_CHECK_POLLS == _STATE_CHECK_POLLS - 1):
                    idle_polls = 0
                    continue
                idle_polls += 1
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.hint.wait(), POLL_SECONDS)
        finally:
            self.ended = True
            self.wake()

    def wake(self) -> None:
        """Let the followers look again."""
        self.grown.set()
        self.grown = asyncio.Event()

    async def _read_page(self, *, check_state: bool) -> bool:
        try:
            async with self._engine.connect() as connection:
                # Before the events: a run that is finished by now gets no more of them.
                status = await find_status(connection, self._run_id) if check_state else ""
                events = await read_events(connection, self._run_id, after=self._position, limit=_PAGE)
        except (SQLAlchemyError, OSError) as error:
            logger.debug("run %s: reading events failed, trying again: %s", self._run_id, error)
            return False
        self._keep(events)
        # A resumed run goes on behind its terminal event, so that one ends the log only where nothing follows it.
        closed = self._newest in TERMINAL_EVENTS and len(events) < _PAGE
        # A deleted run, or one without its closing event, must not hold its followers for ever.
        gone = not events and (status is None or status in FINISHED)
        self.ended = closed or gone
        if self.ended:
            self.wake()
        return bool(events)

    def _keep(self, events: Sequence[StoredEvent]) -> None:
        if not events:
            return
        self._kept.extend(events)
        while len(self._kept) > _KEPT_EVENTS:
            self._floor = self._kept.popleft().seq
        self._position = events[-1].seq
        self._newest = events[-1].type
        self.wake()


class EventFeed:
    """Lets any number of clients follow runs over one LISTEN connection.

    `listen_url` is a libpq URL; it must be a direct connection to Postgres.
    """

    def __init__(self, engine: AsyncEngine, listen_url: str) -> None:
        self._engine = engine
        self._listen_url = listen_url
        self._tails: dict[str, Tail] = {}
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether this process is about to end, so that followers are told to go elsewhere."""
        return self._stopping

    @property
    def followers(self) -> int:
        """How many clients follow runs at this process."""
        return sum(tail.followers for tail in self._tails.values())

    def stop(self) -> None:
        """End all followers; they can go on at another process from the last seq they saw."""
        self._stopping = True
        for tail in self._tails.values():
            tail.wake()

    @asynccontextmanager
    async def listening(self) -> AsyncGenerator[None]:
        """Hear about new events while inside; `stop` comes with the end."""
        listener = asyncio.create_task(
            listen(self._listen_url, EVENT_CHANNEL, self._on_hint, self._on_connected, retry_seconds=POLL_SECONDS)
        )
        try:
            yield
        finally:
            self.stop()
            listener.cancel()
            with suppress(asyncio.CancelledError):
                await listener

    async def follow(self, run_id: str, *, after: int, idle_seconds: float) -> AsyncGenerator[Sequence[StoredEvent]]:
        """The run's events above `after` in order, in batches, until its terminal event or until `stop`.

        `after` is a seq that exists, or 0. An empty batch says that nothing happened for `idle_seconds`.
        Close it (`contextlib.aclosing`) when leaving early.
        """
        async with self._tail(run_id, after) as tail:
            while not self._stopping:
                # Taken before looking, so that nothing that comes meanwhile is slept through.
                grown, ended = tail.grown, tail.ended
                batch = await self._look(tail, after)
                if batch:
                    after = batch[-1].seq
                    yield batch
                elif ended:
                    return
                elif not await _happens(grown, idle_seconds):
                    yield ()

    async def _look(self, tail: Tail, after: int) -> Sequence[StoredEvent]:
        try:
            return await tail.events_after(after)
        except (SQLAlchemyError, OSError):
            await asyncio.sleep(POLL_SECONDS)
            return ()

    @asynccontextmanager
    async def _tail(self, run_id: str, after: int) -> AsyncGenerator[Tail]:
        tail = self._tails.get(run_id)
        if tail is None or tail.ended:
            tail = self._tails[run_id] = Tail(self._engine, run_id, after)
        tail.join()
        try:
            yield tail
        finally:
            if tail.leave() and self._tails.get(run_id) is tail:
                del self._tails[run_id]

    def _on_hint(self, payload: str) -> None:
        for run_id in payload.split():
            if tail := self._tails.get(run_id):
                tail.hint.set()

    def _on_connected(self) -> None:
        for tail in self._tails.values():
            tail.hint.set()


async def _happens(event: asyncio.Event, within_seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), within_seconds)
    except TimeoutError:
        return False
    return True
