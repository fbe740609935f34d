"""What the durable façade records its work with: plain DBOS steps, for programs that run without the service."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypedDict, TypeVar

from dbos import DBOS

from app.ai.exceptions import UserError

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


async def record_step(name: str, config: StepConfig, body: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The recorded result of the step that is next in the workflow, or that of `body`, performed and recorded now."""
    return await DBOS.run_step_async({"name": name, **config, "should_retry": _may_succeed_later}, body)


def _may_succeed_later(error: BaseException) -> bool:
    return not isinstance(error, UserError)
