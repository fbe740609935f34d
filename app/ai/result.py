"""How a run ends, and the results of runs whose output is streamed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, cast

from typing_extensions import deprecated

from app.ai.agent_stream import AgentStream
from app.ai.exceptions import UserError
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.output import OutputDataT
from app.ai.reprs import repr_without_defaults
from app.ai.run_context import AgentDepsT
from app.ai.stamps import CallableTimestamp
from app.ai.sync_stream import StreamedRunResultSync

if TYPE_CHECKING:
    from app.ai.run import AgentRun, AgentRunResult
    from app.ai.usage import RunUsage

__all__ = "AgentStream", "FinalResult", "StreamedRunResult", "StreamedRunResultSync"


@dataclass(repr=False)
class FinalResult(Generic[OutputDataT]):
    """The output of a run, with the call of the output tool that gave it, if one did."""

    output: OutputDataT
    tool_name: str | None = None
    tool_call_id: str | None = None

    __repr__ = repr_without_defaults


class StreamedRunResult(Generic[AgentDepsT, OutputDataT]):
    """The result of `run_stream`: a run whose output is being streamed, or that ended without anything to stream.

    Read it to the end by one of the `stream_…` methods or by `get_output`; only then is the run complete.
    `debounce_by` is in seconds: what comes closer together is one item; None makes an item of every event.
    """

    def __init__(
        self,
        run: AgentRun[AgentDepsT, OutputDataT],
        stream: AgentStream[AgentDepsT, OutputDataT] | None = None,
        complete: Callable[[OutputDataT], Awaitable[None]] | None = None,
    ):
        """`complete` ends the run with the output of the stream; without a stream, the run has ended already."""
        self._run = run
        self._stream = stream
        self._complete = complete
        self.is_complete = False
        """Whether everything was read."""

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """All messages, those of earlier runs included; the streamed response only once it is complete."""
        return self._messages("all_messages", output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`all_messages` as JSON."""
        return self._run.all_messages_json(output_tool_return_content=output_tool_return_content)

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """The messages of this run; the streamed response only once it is complete."""
        return self._messages("new_messages", output_tool_return_content)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`new_messages` as JSON."""
        return self._run.new_messages_json(output_tool_return_content=output_tool_return_content)

    async def stream_output(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[OutputDataT]:
        """The output as far as it has come, where that makes sense; the last one is the whole output."""
        if self._stream is None or self.is_complete:
            yield await self.get_output()
            return
        async with aclosing(self._stream.stream_output(debounce_by=debounce_by)) as outputs:
            async for output in outputs:
                yield output
        await self._complete_unless_cancelled()

    async def stream_text(self, *, delta: bool = False, debounce_by: float | None = 0.1) -> AsyncGenerator[str]:
        """The text so far, again and again, or with `delta` only what is new; validators do not see deltas.

        Raises `UserError` if the output is no text.
        """
        if self._stream is None or self.is_complete:
            output = self._result.output
            if not isinstance(output, str):
                raise UserError("stream_text is for text outputs; use stream_output for this output type")
            await self._complete_unless_cancelled()
            yield output
            return
        async with aclosing(self._stream.stream_text(delta=delta, debounce_by=debounce_by)) as texts:
            async for text in texts:
                yield text
        await self._complete_unless_cancelled()

    async def stream_response(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[ModelResponse]:
        """The response as far as it has come; the last one is the whole response as it is in the history."""
        if self._stream is not None and not self.is_complete:
            async with aclosing(self._stream.stream_response(debounce_by=debounce_by)) as responses:
                async for response in responses:
                    yield response
        await self._complete_unless_cancelled()
        yield self._result.response if self._stream is None else await self._stream.finish()

    async def stream_responses(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[tuple[ModelResponse, bool]]:
        """`stream_response`, each with whether it is the last."""
        previous: ModelResponse | None = None
        async with aclosing(self.stream_response(debounce_by=debounce_by)) as responses:
            async for response in responses:
                if previous is not None:
                    yield previous, False
                previous = response
        assert previous is not None, "there always is a last response"
        yield previous, True

    @deprecated("`stream` is deprecated, use `stream_output`")
    def stream(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[OutputDataT]:
        """Old name of `stream_output`."""
        return self.stream_output(debounce_by=debounce_by)

    @deprecated("`stream_structured` is deprecated, use `stream_responses`")
    def stream_structured(self, *, debounce_by: float | None = 0.1) -> AsyncGenerator[tuple[ModelResponse, bool]]:
        """Old name of `stream_responses`."""
        return self.stream_responses(debounce_by=debounce_by)

    async def get_output(self) -> OutputDataT:
        """Read to the end and give the output. Raises `UnexpectedModelBehavior` if it is invalid: no retry here.

        Of a cancelled stream it is what came until then.
        """
        if self._stream is None:
            self.is_complete = True
            return self._result.output
        if self.is_complete:
            return deepcopy(self._result.output)
        output = await self._stream.get_output()
        if self._complete is not None and not self.cancelled:
            await self._complete(output)
            self.is_complete = True
        return output

    async def validate_response_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """The output in a response. Raises `ValidationError` or `ModelRetry` if it is invalid."""
        if self._stream is None:
            return self._result.output
        return await self._stream.validate_response_output(message, allow_partial=allow_partial)

    @deprecated("`validate_structured_output` is deprecated, use `validate_response_output`")
    async def validate_structured_output(self, message: ModelResponse, *, allow_partial: bool = False) -> OutputDataT:
        """Old name of `validate_response_output`."""
        return await self.validate_response_output(message, allow_partial=allow_partial)

    async def cancel(self) -> None:
        """Stop the model. What it said so far stays in the history as an interrupted response."""
        if self._stream is not None and not self.is_complete:
            await self._stream.cancel()

    @property
    def cancelled(self) -> bool:
        """Whether the stream was cancelled before its end."""
        return self._stream is not None and self._stream.cancelled

    @property
    def response(self) -> ModelResponse:
        """The response as it is by now."""
        return self._result.response if self._stream is None else self._stream.response

    @property
    def usage(self) -> RunUsage:
        """The usage of the run so far, the stream included; `usage()` is the same."""
        return self._run.usage if self._stream is None else self._stream.usage

    @property
    def timestamp(self) -> CallableTimestamp:
        """When the response was made; `timestamp()` is the same."""
        return CallableTimestamp.of(self.response.timestamp)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The run's metadata."""
        return self._run.metadata

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._run.run_id

    @property
    def conversation_id(self) -> str:
        """The id of the conversation that the run belongs to."""
        return self._run.conversation_id

    @property
    def _result(self) -> AgentRunResult[OutputDataT]:
        assert self._run.result is not None, "a run that was read to its end has a result"
        return self._run.result

    async def _complete_unless_cancelled(self) -> None:
        if not (self.cancelled or self.is_complete):
            await self.get_output()

    def _messages(self, method: str, content: str | None) -> list[ModelMessage]:
        if content is None:
            return cast("list[ModelMessage]", getattr(self._run, method)())
        return cast("list[ModelMessage]", getattr(self._result, method)(output_tool_return_content=content))
