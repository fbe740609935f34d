"""Which step of a durable run a span belongs to. Does nothing unless the program has loaded OpenTelemetry."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

STEP: Final = "holdfast.step"
ATTEMPT: Final = "holdfast.attempt"
REPLAYED: Final = "holdfast.replayed"


@contextmanager
def within_step(step: int, attempt: int) -> Generator[None]:
    """Tell the spans of agents, requests and tools inside the block which step they belong to."""
    if "opentelemetry.baggage" not in sys.modules:
        yield
        return
    from opentelemetry import baggage, context

    inside = baggage.set_baggage(ATTEMPT, attempt, baggage.set_baggage(STEP, step))
    token = context.attach(inside)
    try:
        yield
    finally:
        context.detach(token)


def mark_step(step: int, attempt: int, *, replayed: bool) -> None:
    """Tell the current span, that of a tool call, which step it is and whether its result comes from a record.

    Not every record tells the attempt; then it is 0.
    """
    if "opentelemetry.trace" not in sys.modules:
        return
    from opentelemetry.trace import get_current_span

    attempts = {ATTEMPT: attempt} if attempt else {}
    get_current_span().set_attributes({STEP: step, **attempts, REPLAYED: replayed})
