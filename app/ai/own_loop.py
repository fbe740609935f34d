"""Running coroutines where there is no event loop, without a trace."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any, TypeVar

T = TypeVar("T")


def own_loop() -> asyncio.Runner:
    """Runs coroutines on an event loop of its own; what is set as the thread's current loop stays set."""
    # Without the factory, closing the runner would leave the thread without a current loop.
    return asyncio.Runner(loop_factory=asyncio.new_event_loop)


class _KeptLoop:
    """A loop that is closed when its thread or the program ends."""

    def __init__(self) -> None:
        self.runner = own_loop()
        self.process = os.getpid()
        weakref.finalize(self, _close, self.runner, self.process)


def _close(runner: asyncio.Runner, process: int) -> None:
    if process == os.getpid():
        runner.close()


_of_thread = threading.local()


def run_on_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end on a loop that the thread keeps for this.

    Connections and locks of the caller belong to the loop that used them first, and have to live on in the next run.
    """
    kept: _KeptLoop | None = getattr(_of_thread, "kept", None)
    if kept is None or kept.process != os.getpid():
        # What a fork inherits is not closed: that would stop the parent's loop from watching its files.
        _of_thread.inherited = kept
        kept = _of_thread.kept = _KeptLoop()
    return kept.runner.run(work, context=copy_context())
