"""One model response of a run while it is being read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from pydantic import ValidationError

from app.ai.event_stream import SharedEvents, drain
from app.ai.exceptions import ModelRetry, UnexpectedModelBehavior, UserError
from app.ai.messages import (
    ModelResponse,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from app.ai.models import StreamedResponse
from app.ai.output import OutputDataT
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.stamps import CallableTimestamp
from app.ai.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    from app.ai.response_output import ResponseOutput

ReadResponse: TypeAlias = Callable[[RunContext[Any], StreamedResponse], Awaitable[None]]
"""Reads a response as it comes; when it returns, the response is taken as it is by then."""


class AgentStream(Generic[AgentDepsT, OutputDataT]):
    """The events of a response, and the output in it as far as it has come. An async iterator of events.

    Every reader goes on where the one before it stopped. `debounce_by` is in seconds: what comes closer together is
    one item; None makes an item of every event.
    """

    def __init__(
        self,
        response: StreamedResponse,
        output: ResponseOutput,
        usage_limits: UsageLimits,
        finish: Callable[[], Awaitable[ModelResponse]],
    ):
        """`finish` ends the request and gives the response as the run keeps it."""
        self._raw = response
        self._output = output
        self._usage_limits = usage_limits
        self._finish = finish
        self._events: SharedEvents[ModelResponseStreamEvent] = SharedEvents(self._read())
        self._kept: ModelResponse | None = None
        self._whole: tuple[OutputDataT] | None = None

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        return self._events

    @property
    def raw_response(self) -> StreamedResponse:
        """The response as the model gives it."""
        return self._raw

    @property
    def output_of_response(self) -> ResponseOutput:
        """What makes the output of the response."""
        return self._output

    @property
    def response(self) -> ModelResponse:
        """The response as it is by now, as the model gives it: without the ids of the run."""
        return self._raw.get()

    def get(self) -> ModelResponse:
        """The response as it is by now."""
        return self.response

    @property
    def usage(self) -> RunUsage:
        """The usage of the run, this response included; `usage()` is the same."""
        before = self._output.ctx.usage
        return before if self._kept is not None else before + self._raw.usage()

    @property
    def timestamp(self) -> CallableTimestamp:
        """When the response was made; `timestamp()` is the same."""
        return CallableTimestamp.of(self._raw.timestamp)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._output.ctx.run_id or ""

    @property
    def conversation_id(self) -> str:
        """The id of the conversation that the run belongs to."""
        return self._output.ctx.conversation_id or ""

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The run's metadata."""
        return self._output.ctx.metadata

    @property
    def cancelled(self) -> bool:
        """Whether the stream was cancelled before its end."""
        return self._raw.cancelled

    async def cancel(self) -> None:
        """Stop the model. What it said so far stays in the history as an interrupted response."""
        await self._raw.cancel()
        await self._events.close()
        await self.finish()

    async def stream_response(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[ModelResponse]:
        """The response as far as it has come, again and again."""
        if any(part.has_content() for part in self.response.parts):
            yield self.response
        async with aclosing(self._events.groups(debounce_by)) as groups:
            async for _ in groups:
                yield self.response

    def stream_responses(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[ModelResponse]:
        """`stream_response` under its old name."""
        return self.stream_response(debounce_by=debounce_by)

    async def stream_output(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[OutputDataT]:
        """The output as far as it has come, where that makes sense; the last one is the whole, if there is any."""
        seen: ModelResponse | None = None
        async with aclosing(self.stream_response(debounce_by=debounce_by)) as responses:
            async for response in responses:
                is_news = seen is None or response.parts != seen.parts
                if self._kept is not None or self._raw.final_result_event is None or not is_news:
                    continue
                seen = response
                try:
                    yield deepcopy(await self.validate_response_output(response, allow_partial=True))
                except (ValidationError, ModelRetry):
                    # Half an output need not make sense yet.
                    continue
        if self._output.is_in(self.response, self._raw.final_result_event) and not self.cancelled:
            yield deepcopy(await self.get_output())

    async def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> AsyncGenerator[str]:
        """The text so far, again and again, or with `delta` only what is new; validators do not see deltas.

        Raises `UserError` if the output is no text.
        """
        if self._output.schema.text is None:
            raise UserError("stream_text is for text outputs; use stream_output for this output type")
        text = ""
        async with aclosing(self._text_pieces(debounce_by)) as pieces:
            async for piece in pieces:
                text += piece
                yield piece if delta else await self._output.text(text, complete=self._kept is not None)

    async def get_output(self) -> OutputDataT:
        """Read to the end and give the output. Raises `UnexpectedModelBehavior` if it is invalid: no retry here."""
        await drain(self._events)
        if self._whole is None:
            try:
                self._whole = (await self.validate_response_output(self.response),)
            except (ValidationError, ModelRetry) as err:
                raise UnexpectedModelBehavior(f"The output that was streamed is not valid: {err}") from err
        return self._whole[0]

    async def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """The output in a response. Raises `ValidationError` or `ModelRetry` if it is invalid."""
        return await self._output.of(message, self._raw.final_result_event, allow_partial=allow_partial)

    async def finish(self) -> ModelResponse:
        """Read to the end and end the request; from then on the response is in the history."""
        if self._kept is None:
            if not self.cancelled:
                await drain(self._events)
            self._kept = await self._finish()
        return self._kept

    async def close(self) -> None:
        """Give up what is still being read."""
        await self._events.close()

    async def _read(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        limits = self._usage_limits
        async for event in self._raw:
            if limits.has_token_limits():
                limits.check_tokens(self.usage)
            yield event

    async def _text_pieces(self, debounce_by: float | None) -> AsyncGenerator[str]:
        """The text that is there already, and what comes; a blank line where a native tool is called in between."""
        first = [PartStartEvent(index=index, part=part) for index, part in enumerate(self.response.parts)]
        text_stands_open = False
        async with aclosing(self._events.groups(debounce_by, first)) as groups:
            async for group in groups:
                piece = ""
                for event in group:
                    if content := _text_in(event):
                        piece += content
                        text_stands_open = True
                    elif text_stands_open and _calls_native_tool(event):
                        piece += "\n\n"
                        text_stands_open = False
                if piece:
                    yield piece


def _text_in(event: ModelResponseStreamEvent) -> str:
    match event:
        case PartStartEvent(part=TextPart(content=content)):
            return content
        case PartDeltaEvent(delta=TextPartDelta(content_delta=content)):
            return content
        case _:
            return ""


def _calls_native_tool(event: ModelResponseStreamEvent) -> bool:
    return isinstance(event, PartStartEvent) and isinstance(event.part, NativeToolCallPart)


@asynccontextmanager
async def open_agent_stream(
    ask: Callable[[ReadResponse], Awaitable[ModelResponse]],
    make: Callable[[StreamedResponse, Callable[[], Awaitable[ModelResponse]]], AgentStream[Any, Any]],
    replayed: Callable[[ModelResponse], StreamedResponse],
) -> AsyncGenerator[AgentStream[Any, Any]]:
    """Ask for a response beside the block and let the block read it; what it leaves unread is read at its end.

    `ask` is given what reads the response, `make` the response and what ends the request. A response that comes
    from a record is never read: `replayed` makes a stream of it.
    """
    opened: asyncio.Future[StreamedResponse] = asyncio.get_running_loop().create_future()
    finished = asyncio.Event()

    async def offer(_ctx: RunContext[Any], response: StreamedResponse) -> None:
        opened.set_result(response)
        await finished.wait()

    async def finish() -> ModelResponse:
        finished.set()
        return await work

    async def run() -> ModelResponse:
        return await ask(offer)

    work = asyncio.create_task(run())
    try:
        await asyncio.wait({work, opened}, return_when=asyncio.FIRST_COMPLETED)
        stream = make(opened.result() if opened.done() else replayed(await work), finish)
        try:
            yield stream
            await stream.finish()
        finally:
            await stream.close()
    finally:
        opened.cancel()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
