"""Looking at runs: single ones, lists, steps, messages, events, conversations; now, in pages, or as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db import event_reads, runs
from app.db.metrics import Sample, read_samples
from app.durable.names import TERMINAL_EVENTS
from app.runs import refusals
from app.runs.cursor import from_cursor, to_cursor
from app.runs.feed import EventFeed
from app.runs.metrics import render
from app.runs.reach import answers_in_time
from app.runs.records import (
    Conversation,
    Event,
    EventPage,
    Message,
    MessageList,
    Run,
    RunPage,
    RunSummary,
    Step,
    StepList,
    goes_on_by_itself,
)


class RunReader:
    """The verbs that change nothing.

    Each of them raises `Unavailable` within three seconds when Postgres is down, and `NotFound` for unknown ids.
    """

    def __init__(self, engine: AsyncEngine, feed: EventFeed, *, is_migrated: Callable[[], bool]) -> None:
        self._engine = engine
        self._feed = feed
        self._is_migrated = is_migrated
        self._seen_migrated = False

    @property
    def draining(self) -> bool:
        """Whether this process is about to end, so that clients that follow runs shall come back elsewhere."""
        return self._feed.stopping

    def drain(self) -> None:
        """Send the clients that follow runs away and be no longer ready."""
        self._feed.stop()

    @answers_in_time
    async def check_ready(self) -> None:
        """Raises `Unavailable` that says why requests cannot be served: draining, no database, not migrated."""
        if self.draining:
            raise refusals.draining()
        async with self._engine.connect() as connection:
            await connection.execute(text("select 1"))
        # Asked once with success: migrations go forward only.
        self._seen_migrated = self._seen_migrated or await asyncio.to_thread(self._is_migrated)
        if not self._seen_migrated:
            raise refusals.not_migrated()

    @answers_in_time
    async def metrics(self) -> str:
        """Numbers about all runs, as Prometheus reads them."""
        async with self._engine.connect() as connection:
            samples = await read_samples(connection)
        return render([*samples, Sample("followers", None, self._feed.followers)])

    @answers_in_time
    async def get(self, run_id: str) -> Run:
        """The run as it is now."""
        async with self._engine.connect() as connection:
            return await read_run(connection, run_id)

    async def wait(self, run_id: str, seconds: float) -> Run:
        """The run as soon as it is finished or waiting, or as it is after `seconds`."""
        newest = await self.follow_from(run_id, after=_AT_THE_END)
        run = await self.get(run_id)
        if newest is None or run.is_settled:
            return run
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), aclosing(self.follow(run_id, newest, idle_seconds=seconds)) as batches:
                async for batch in batches:
                    if any(map(_settles, batch)):
                        break
        return await self.get(run_id)

    @answers_in_time
    async def list(self, filters: Mapping[str, str], *, cursor: str | None = None, limit: int = 50) -> RunPage:
        """A page of runs, newest first. `filters` may name agent, status and conversation_id."""
        after = from_cursor(cursor)
        async with self._engine.connect() as connection:
            run_ids, end = await runs.page_of_runs(connection, filters, after=after, limit=limit)
            rows = await runs.summaries(connection, run_ids)
        return RunPage(runs=[RunSummary.of(row) for row in rows], next_cursor=to_cursor(end))

    @answers_in_time
    async def steps(self, run_id: str) -> StepList:
        """The recorded steps of a run."""
        async with self._engine.connect() as connection:
            await _status(connection, run_id)
            rows = await runs.list_steps(connection, run_id)
        return StepList(run_id=run_id, steps=[Step.of(row) for row in rows])

    @answers_in_time
    async def messages(self, run_id: str) -> MessageList:
        """The messages that a run added to its conversation."""
        async with self._engine.connect() as connection:
            await _status(connection, run_id)
            rows = await runs.list_messages(connection, run_id)
        return MessageList(run_id=run_id, messages=[Message.of(row) for row in rows])

    @answers_in_time
    async def events(self, run_id: str, *, after: int, limit: int) -> EventPage:
        """A page of a run's events."""
        async with self._engine.connect() as connection:
            # The state first: a run that is finished by now gets no events behind the ones that are read next.
            finished = await _status(connection, run_id) in runs.FINISHED
            found = await event_reads.read_events(connection, run_id, after=after, limit=limit)
        return EventPage(
            run_id=run_id,
            events=[Event.of(vars(event)) for event in found],
            next_after=found[-1].seq if found else after,
            finished=finished and len(found) < limit,
        )

    @answers_in_time
    async def follow_from(self, run_id: str, *, after: int) -> int | None:
        """The seq to follow the run from: `after`, or the newest one if that is less. None if nothing will follow."""
        async with self._engine.connect() as connection:
            finished = await _status(connection, run_id) in runs.FINISHED
            newest = await event_reads.last_seq(connection, run_id)
        return None if finished and after >= newest else min(after, newest)

    async def follow(self, run_id: str, after: int, *, idle_seconds: float) -> AsyncGenerator[Sequence[Event]]:
        """Events above `after`, a seq that `follow_from` gave, in batches until the run is finished.

        See `EventFeed.follow`.
        """
        async with aclosing(self._feed.follow(run_id, after=after, idle_seconds=idle_seconds)) as batches:
            async for batch in batches:
                yield [Event.of(vars(event)) for event in batch]

    @answers_in_time
    async def conversation(self, conversation_id: str) -> Conversation:
        """The runs of a conversation."""
        async with self._engine.connect() as connection:
            members = await runs.conversation_runs(connection, conversation_id)
            if not members:
                raise refusals.unknown_conversation(conversation_id)
            rows = await runs.summaries(connection, [member.run_id for member in members])
        return Conversation(
            conversation_id=conversation_id,
            busy_run_id=unfinished(members),
            runs=[RunSummary.of(row) for row in reversed(rows)],
        )


_AT_THE_END = 2**62


async def read_run(connection: AsyncConnection, run_id: str) -> Run:
    """The run, or NotFound."""
    row = await runs.find_run(connection, run_id)
    if row is None:
        raise refusals.unknown_run(run_id)
    return Run.of(row)


def unfinished(members: Sequence[runs.ConversationRun]) -> str | None:
    """The run that keeps a conversation busy."""
    return next((member.run_id for member in members if member.status not in runs.FINISHED), None)


async def _status(connection: AsyncConnection, run_id: str) -> str:
    status = await runs.find_status(connection, run_id)
    if status is None:
        raise refusals.unknown_run(run_id)
    return status


def _settles(event: Event) -> bool:
    """Whether nothing happens after this event until somebody does something."""
    if event.type != "run_waiting":
        return event.type in TERMINAL_EVENTS
    return not goes_on_by_itself([wait["kind"] for wait in event.data["waiting_for"]])
