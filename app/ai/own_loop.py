"""Running coroutines where there is no event loop, without a trace."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def own_loop() -> asyncio.Runner:
    """Runs coroutines on an event loop of its own; what is set as the thread's current loop stays set."""
    # Without the factory, closing the runner would leave the thread without a current loop.
    return asyncio.Runner(loop_factory=asyncio.new_event_loop)


def run_on_own_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine to its end on an event loop of its own."""
    with own_loop() as runner:
        return runner.run(work)
