"""Streaming without async: the run goes on, on an event loop of its own, whenever the caller reads."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from app.ai.output import OutputDataT
from app.ai.own_loop import own_loop, run_on_own_loop
from app.ai.run_context import AgentDepsT

if TYPE_CHECKING:
    from app.ai.messages import ModelMessage, ModelResponse
    from app.ai.result import StreamedRunResult
    from app.ai.stamps import CallableTimestamp
    from app.ai.usage import RunUsage

T = TypeVar("T")
ItemT = TypeVar("ItemT")


def iterate_with(run: Callable[[Coroutine[Any, Any, Any]], Any], items: AsyncIterator[ItemT]) -> Iterator[ItemT]:
    """Iterate without async over what `run` waits for."""

    async def step() -> tuple[ItemT, ...]:
        async for item in items:
            return (item,)
        return ()

    while item := run(step()):
        yield item[0]


class LoopHost(Generic[T]):
    """Holds an async context open on an event loop of its own, from one task as its contents may require."""

    def __init__(self, open_context: Callable[[], AbstractAsyncContextManager[T]]):
        self._runner = own_loop()
        self._tasks: list[asyncio.Task[None]] = []
        # Also for whoever reads only the first items of a stream and forgets about it.
        self._close_loop = weakref.finalize(self, _close_loop, self._runner, self._tasks)
        self._leave = asyncio.Event()
        try:
            self.value = self._runner.run(self._enter(open_context))
        except BaseException:
            self._close_loop()
            raise

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def iterate(self, items: AsyncIterator[ItemT]) -> Iterator[ItemT]:
        return iterate_with(self.run, items)

    def close(self) -> None:
        try:
            self._runner.run(self._exit())
        finally:
            self._close_loop()

    async def _enter(self, open_context: Callable[[], AbstractAsyncContextManager[T]]) -> T:
        entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        leave = self._leave

        async def hold() -> None:
            async with open_context() as value:
                entered.set_result(value)
                await leave.wait()

        task = asyncio.create_task(hold())
        self._tasks.append(task)
        await asyncio.wait({task, entered}, return_when=asyncio.FIRST_COMPLETED)
        if not entered.done():
            entered.cancel()
            await task
        return entered.result()

    async def _exit(self) -> None:
        self._leave.set()
        for task in self._tasks:
            await task


def _close_loop(runner: asyncio.Runner, _tasks: list[asyncio.Task[None]]) -> None:
    """Cancel what goes on in the loop and close it, wherever the garbage collector found it.

    A loop knows its tasks only weakly, so they have to be kept until then.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        runner.close()
        return
    closing = threading.Thread(target=runner.close)
    closing.start()
    closing.join()


class StreamedRunResultSync(Generic[AgentDepsT, OutputDataT]):
    """The result of `run_stream_sync`: `StreamedRunResult` without async. Read it to the end, or close it."""

    def __init__(
        self, open_stream: Callable[[], AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, OutputDataT]]]
    ):
        self._host: LoopHost[StreamedRunResult[AgentDepsT, OutputDataT]] | None = LoopHost(open_stream)
        self._streamed = self._host.value
        self._close_if_complete()

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """All messages, those of earlier runs included; the streamed response only once it is complete."""
        return self._streamed.all_messages(output_tool_return_content=output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`all_messages` as JSON."""
        return self._streamed.all_messages_json(output_tool_return_content=output_tool_return_content)

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """The messages of this run; the streamed response only once it is complete."""
        return self._streamed.new_messages(output_tool_return_content=output_tool_return_content)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`new_messages` as JSON."""
        return self._streamed.new_messages_json(output_tool_return_content=output_tool_return_content)

    def stream_output(self, *, debounce_by: float | None = 0.1) -> Iterator[OutputDataT]:
        """As `StreamedRunResult.stream_output`."""
        return self._iterate(self._streamed.stream_output(debounce_by=debounce_by))

    def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> Iterator[str]:
        """As `StreamedRunResult.stream_text`."""
        return self._iterate(self._streamed.stream_text(delta=delta, debounce_by=debounce_by))

    def stream_response(self, *, debounce_by: float | None = 0.1) -> Iterator[ModelResponse]:
        """As `StreamedRunResult.stream_response`."""
        return self._iterate(self._streamed.stream_response(debounce_by=debounce_by))

    def stream_responses(self, *, debounce_by: float | None = 0.1) -> Iterator[tuple[ModelResponse, bool]]:
        """As `StreamedRunResult.stream_responses`."""
        return self._iterate(self._streamed.stream_responses(debounce_by=debounce_by))

    def get_output(self) -> OutputDataT:
        """As `StreamedRunResult.get_output`."""
        return self._run(self._streamed.get_output())

    def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """As `StreamedRunResult.validate_response_output`."""
        return self._run(self._streamed.validate_response_output(message, allow_partial=allow_partial))

    def cancel(self) -> None:
        """As `StreamedRunResult.cancel`."""
        self._run(self._streamed.cancel())
        self.close()

    def close(self) -> None:
        """Leave the run; it is left by itself once it was read to its end."""
        host, self._host = self._host, None
        if host is not None:
            host.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_complete(self) -> bool:
        """Whether everything was read."""
        return self._streamed.is_complete

    @property
    def cancelled(self) -> bool:
        """Whether the stream was cancelled before its end."""
        return self._streamed.cancelled

    @property
    def response(self) -> ModelResponse:
        """The response as it is by now."""
        return self._streamed.response

    @property
    def usage(self) -> RunUsage:
        """The usage of the run so far; `usage()` is the same."""
        return self._streamed.usage

    @property
    def timestamp(self) -> CallableTimestamp:
        """When the response was made; `timestamp()` is the same."""
        return self._streamed.timestamp

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The run's metadata."""
        return self._streamed.metadata

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._streamed.run_id

    @property
    def conversation_id(self) -> str:
        """The id of the conversation that the run belongs to."""
        return self._streamed.conversation_id

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        result = self._run_on_loop(work)
        self._close_if_complete()
        return result

    def _run_on_loop(self, work: Coroutine[Any, Any, T]) -> T:
        # Nothing of a run that is complete belongs to its loop any more.
        return self._host.run(work) if self._host is not None else run_on_own_loop(work)

    def _iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        # Closing ends the iterators of the loop, and the run may be complete before its last item was read.
        try:
            yield from iterate_with(self._run_on_loop, items)
        finally:
            self._close_if_complete()

    def _close_if_complete(self) -> None:
        if self._streamed.is_complete:
            self.close()
