"""What the durable façade records its work with: plain DBOS steps, for programs that run without the service."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypedDict, TypeVar

from dbos import DBOS

from app.ai.exceptions import UserError
from app.ai.instrumentation.marks import mark_step, within_step

T = TypeVar("T")


class StepConfig(TypedDict, total=False):
    """Whether and how DBOS tries a failing step again; the default is not at all."""

    retries_allowed: bool
    interval_seconds: float
    """Seconds before the first retry, 1 by default."""
    max_attempts: int
    """The first try included, 3 by default."""
    backoff_rate: float
    """What the interval is multiplied by after each retry, 2 by default."""


def in_workflow() -> bool:
    """Whether this code is a workflow's own, not that of one of its steps."""
    return DBOS.workflow_id is not None and DBOS.step_id is None


async def record_step(
    name: str, config: StepConfig, body: Callable[[], Coroutine[Any, Any, T]], *, of_span: bool = False
) -> T:
    """The recorded result of the step that is next in the workflow, or that of `body`, performed and recorded now.

    `of_span` says that the current span, like those inside the step, is the step's.
    """
    reservation, attempts = DBOS.reserve_step(), 0

    async def attempt() -> T:
        nonlocal attempts
        attempts += 1
        with within_step(reservation.step_id, attempts):
            return await body()

    try:
        return await reservation.run_async({"name": name, **config, "should_retry": _may_succeed_later}, attempt)
    finally:
        if of_span:
            mark_step(reservation.step_id, attempts, replayed=not attempts)


def _may_succeed_later(error: BaseException) -> bool:
    return not isinstance(error, UserError)
