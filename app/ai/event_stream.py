"""Carrying a run's events from the code that makes them to the code that reads them."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Generic, Self, TypeAlias, TypeVar

from app.ai.messages import AgentStreamEvent
from app.ai.run_context import AgentDepsT, RunContext

T = TypeVar("T")

EventStreamHandler: TypeAlias = Callable[[RunContext[AgentDepsT], AsyncIterable[AgentStreamEvent]], Awaitable[None]]
"""Reads the events of one model response, or of the tool calls after it; what it leaves unread is dropped."""

Emit: TypeAlias = Callable[[AgentStreamEvent], Awaitable[None]]
"""Takes what happens as it happens."""

_END: Any = object()
_LATE: Any = object()


class EventChannel(Generic[T]):
    """Hands events to its one reader, as their async iterator, until it is closed.

    `send` waits until the reader has the event; `in_step`, until it wants the next one, as a generator does.
    """

    def __init__(self, *, in_step: bool = False):
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._in_step = in_step
        self._is_read = False
        self._ended = False

    async def send(self, event: T) -> None:
        self._queue.put_nowait(event)
        await self._queue.join()

    def close(self) -> None:
        """No more events will come."""
        self._queue.put_nowait(_END)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_read:
            self._is_read = False
            self._queue.task_done()
        event = _END if self._ended else await self._queue.get()
        if event is _END:
            self._ended = True
            raise StopAsyncIteration
        if self._in_step:
            self._is_read = True
        else:
            self._queue.task_done()
        return event


class SharedEvents(Generic[T]):
    """Events that several readers may read in turn: a reader that stops early loses none for the next one."""

    def __init__(self, events: AsyncIterator[T]):
        self._events = events
        self._fetch: asyncio.Task[Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        # Without a fetch that an earlier reader left behind, no task is needed.
        event = await anext(self._events, _END) if self._fetch is None else await self._fetched(None)
        if event is _END:
            raise StopAsyncIteration
        return event

    async def groups(self, debounce_by: float | None, first: Sequence[T] = ()) -> AsyncGenerator[list[T]]:
        """`first` and the events, those together that come within `debounce_by` seconds; None groups nothing."""
        if debounce_by is None:
            for event in first:
                yield [event]
            async for event in self:
                yield [event]
            return
        now = asyncio.get_running_loop().time
        group, deadline = list(first), now() + debounce_by
        while (event := await self._fetched(max(0.0, deadline - now()) if group else None)) is not _END:
            if event is _LATE:
                yield group
                group = []
                continue
            if not group:
                deadline = now() + debounce_by
            group.append(event)
        if group:
            yield group

    async def close(self) -> None:
        """Give up what is still being fetched."""
        if self._fetch is not None:
            self._fetch.cancel()
            await asyncio.gather(self._fetch, return_exceptions=True)
            self._fetch = None

    async def _fetched(self, timeout: float | None) -> Any:
        if self._fetch is None:
            self._fetch = asyncio.create_task(self._next_or_end())
        done, _ = await asyncio.wait({self._fetch}, timeout=timeout)
        if not done:
            return _LATE
        fetch, self._fetch = self._fetch, None
        return fetch.result()

    async def _next_or_end(self) -> Any:
        return await anext(self._events, _END)


async def drain(events: AsyncIterable[Any]) -> None:
    """Read the rest."""
    async for _ in events:
        pass


async def ignore_event(event: Any) -> None:
    """Nobody listens."""


@asynccontextmanager
async def feed_handler(handler: EventStreamHandler[Any], ctx: RunContext[Any]) -> AsyncGenerator[Emit]:
    """Let a handler read, beside the body of the block, what the body emits. Its error ends the block at once."""
    channel: EventChannel[Any] = EventChannel(in_step=True)

    async def read() -> None:
        await handler(ctx, channel)
        await drain(channel)

    reader = asyncio.create_task(read())
    try:
        try:
            async with _ended_by_failure_of(reader):
                yield channel.send
        except Exception:
            # The handler may still report what came before the error, which then leaves as it is.
            channel.close()
            await asyncio.gather(reader, return_exceptions=True)
            raise
        channel.close()
        await reader
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


@asynccontextmanager
async def _ended_by_failure_of(other: asyncio.Task[Any]) -> AsyncGenerator[None]:
    """Leave the block with the error of another task as soon as that fails, wherever the block waits."""
    owner = asyncio.current_task()
    assert owner is not None, "coroutines run in tasks"
    cancels_before, is_open, ended = owner.cancelling(), True, False

    def end(_: asyncio.Task[Any]) -> None:
        nonlocal ended
        if is_open and not other.cancelled() and other.exception() is not None:
            ended = owner.cancel()

    other.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError:
        if ended and owner.cancelling() <= cancels_before + 1:
            other.result()
        raise
    finally:
        is_open = False
        if ended:
            owner.uncancel()


class EventStream(Generic[T]):
    """Events of work that goes on only while somebody reads them: an async context manager and an async iterator.

    Leaving the context early cancels the work. Errors of the work are raised to the reader.
    """

    def __init__(
        self, produce: Callable[[Callable[[Any], Awaitable[None]]], Awaitable[None]], *, in_step: bool = False
    ):
        """`produce` does the work and passes each event to the function that it is given.

        Once the reader has an event the work goes on; `in_step`, once it wants the next one.
        """
        self._produce = produce
        self._channel: EventChannel[T] = EventChannel(in_step=in_step)
        self._work: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        async def work() -> None:
            await self._produce(self._channel.send)

        self._work = asyncio.create_task(work())
        self._work.add_done_callback(lambda _: self._channel.close())
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._work is not None, "the stream was entered before it is left"
        self._work.cancel()
        await asyncio.gather(self._work, return_exceptions=True)

    def __aiter__(self) -> AsyncIterator[T]:
        if self._work is not None:
            return self
        warnings.warn(
            "Iterating over events without `async with` is deprecated: who stops early leaves the run going on",
            DeprecationWarning,
            stacklevel=2,
        )
        return self._enter_and_iterate()

    async def __anext__(self) -> T:
        assert self._work is not None, "enter the stream before reading it"
        try:
            return await self._channel.__anext__()
        except StopAsyncIteration:
            await self._work
            raise

    async def _enter_and_iterate(self) -> AsyncGenerator[T]:
        async with self:
            async for event in self:
                yield event
