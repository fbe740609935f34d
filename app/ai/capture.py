"""Looking at the messages of a run from outside, also when it fails."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from app.ai.messages import ModelMessage


@dataclass
class _Captured:
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    taken: bool = False


_captured: ContextVar[_Captured | None] = ContextVar("captured_run_messages", default=None)


@contextmanager
def capture_run_messages() -> Generator[list[ModelMessage]]:
    """Give a list that is the message list of the first run inside the block. Nested blocks share it."""
    if (outer := _captured.get()) is not None:
        yield outer.messages
        return
    captured = _Captured()
    token = _captured.set(captured)
    try:
        yield captured.messages
    finally:
        _captured.reset(token)


def take_captured_messages() -> list[ModelMessage]:
    """The list that a run shall keep its messages in: the captured one for the first run, else a fresh one."""
    captured = _captured.get()
    if captured is None or captured.taken:
        return []
    captured.taken = True
    return captured.messages
