"""Events that v1 has besides the newer ones which tell the same."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from app.ai.messages import (
    BuiltinToolCallEvent,
    BuiltinToolResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    HandleResponseEvent,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    OutputToolCallEvent,
    OutputToolResultEvent,
    RetryPromptPart,
    ToolReturnPart,
)
from app.ai.texts import FINAL_RESULT_PROCESSED

_emitted: ContextVar[bool] = ContextVar("older_events_emitted", default=True)


@contextmanager
def emit_older_events(emit: bool) -> Generator[None]:
    """Whether runs inside the block also emit the older events; they do by default."""
    token = _emitted.set(emit)
    try:
        yield
    finally:
        _emitted.reset(token)


def native_tool_events(response: ModelResponse) -> list[HandleResponseEvent]:
    """What the provider's own tools did; the newer form are the events of the response's parts."""
    if not _emitted.get():
        return []
    events: list[HandleResponseEvent] = []
    for part in response.parts:
        match part:
            case NativeToolCallPart():
                events.append(BuiltinToolCallEvent(part))
            case NativeToolReturnPart():
                events.append(BuiltinToolResultEvent(part))
            case _:
                pass
    return events


def output_result_events(
    begun: OutputToolCallEvent, part: ToolReturnPart | RetryPromptPart
) -> list[HandleResponseEvent]:
    """How the call of an output tool ended; one that gave no output is told of as if it were a function's, too."""
    if part.content == FINAL_RESULT_PROCESSED or not _emitted.get():
        return [OutputToolResultEvent(part)]
    return [
        FunctionToolCallEvent(begun.part, args_valid=begun.args_valid),
        OutputToolResultEvent(part),
        FunctionToolResultEvent(part),
    ]
