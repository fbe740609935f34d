"""The one way in which anything becomes a step: drawn in order, begun, performed, its outcome recorded.

    perform: begin (attempt committed) → body → events committed → DBOS records the envelope
    begun before and lost   repeatable → the next attempt;  not repeatable → OutcomeUnknown, nothing is recorded

A body's failure, whatever it raises, is a recorded outcome and never DBOS's to see: an exception class that leaks into
DBOS's error column is unreadable in SQL, and a BaseException would leave the run PENDING for ever on a live worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from dbos import DBOS, StepReservation
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import attempts, waits
from app.db.outage import through_outage
from app.durable.dbos_internals import ControlError, OwnershipLost
from app.durable.events import Event, Notifier, StepEvents
from app.durable.failures import Departure, OutcomeUnknown, Parked, RetryLater, RunError
from app.durable.ownership import OwnershipWatch
from app.durable.serializer import dumps, sanitized
from app.telemetry import about_step

log: Any = structlog.get_logger(__name__)

Envelope = dict[str, Any]
Body = Callable[[StepEvents], Awaitable[Envelope]]


@dataclass(frozen=True)
class Instruments:
    """What a worker process gives to all its runs."""

    engine: AsyncEngine
    notifier: Notifier
    ownership: OwnershipWatch
    executor_id: str
    max_step_bytes: int


@dataclass
class StepPlan:
    """A step about to be performed. `head` is what its envelope says whatever the outcome; the body may add to it."""

    reservation: StepReservation
    name: str
    kind: str
    repeatable: bool = True
    tool_call_id: str | None = None
    input: Any = None
    head: Envelope = field(default_factory=dict[str, Any])
    first_events: Sequence[Event] = ()

    @property
    def step(self) -> int:
        """The step's number in its run."""
        return self.reservation.step_id


@dataclass(frozen=True)
class Journal:
    """The steps of one execution of one run."""

    instruments: Instruments
    run_id: str
    owner: str

    def reserve(self) -> StepReservation:
        """Draw the next step number. Called in loop order, so that a replay draws the same."""
        return DBOS.reserve_step()

    async def perform(self, plan: StepPlan, body: Body) -> Envelope:
        """The envelope of the step: recorded earlier, or made by `body` now; one that raises RetryLater parks the run.

        Raises OutcomeUnknown for a lost call that must not be repeated, DBOS's control errors when the run was
        cancelled or taken over.
        """

        async def performed() -> Envelope:
            with self.instruments.ownership.guard(self.run_id, self.owner) as guard:
                attempt = await self._begin(plan)
                events = self._events(plan, attempt, guard.fence)
                try:
                    envelope = await _told_outcome(plan, attempt, body, events)
                except RetryLater as later:
                    await events.close()
                    await self._park(plan, attempt, later)
                    raise Parked from later
                finally:
                    mine = await events.close()
                if not mine:
                    raise OwnershipLost(self.run_id)
                return self._within_limit(plan, {"kind": plan.kind, **plan.head, **envelope, "attempt": attempt})

        return await plan.reservation.run_async({"name": plan.name, "preemptible": True}, performed)

    async def _begin(self, plan: StepPlan) -> int:
        started = attempts.NewAttempt(
            run_id=self.run_id,
            owner=self.owner,
            executor_id=self.instruments.executor_id,
            step=plan.step,
            kind=plan.kind,
            name=plan.name,
            repeatable=plan.repeatable,
            tool_call_id=plan.tool_call_id,
            input=sanitized(plan.input)[0],
        )
        first: Event = {"type": "attempt", "data": {"kind": plan.kind, "name": plan.name}}
        events, _ = sanitized([first, *plan.first_events])
        attempt = await attempts.begin(self.instruments.engine, started, events)
        if attempt is None:
            raise OwnershipLost(self.run_id)
        if attempt == 0:
            raise OutcomeUnknown(plan.name)
        self.instruments.notifier.touch(self.run_id)
        return attempt

    async def _park(self, plan: StepPlan, attempt: int, later: RetryLater) -> None:
        async def work(_again: bool) -> None:
            ended = waits.EndedAttempt(
                self.run_id, self.owner, plan.step, attempt, error=later.error.as_json(), billed=later.billed
            )
            await waits.park_until(self.instruments.engine, ended, later.moment)

        try:
            await through_outage(work)
        except LookupError:
            raise OwnershipLost(self.run_id) from None

    def _events(self, plan: StepPlan, attempt: int, fenced: Callable[[], None]) -> StepEvents:
        tools = self.instruments
        return StepEvents(tools.engine, tools.notifier, self.run_id, self.owner, plan.step, attempt, fenced)

    def _within_limit(self, plan: StepPlan, envelope: Envelope) -> Envelope:
        clean, changed = sanitized(envelope)
        if changed:
            clean["sanitized"] = True
        try:
            size = len(dumps(clean).encode())
        except (TypeError, ValueError) as error:
            return _without_result(plan, clean, "ResultNotSerializable", str(error))
        limit = self.instruments.max_step_bytes
        if size > limit:
            message = f"{plan.name} returned {size} bytes; the limit is {limit} (HOLDFAST_MAX_STEP_BYTES)."
            return _without_result(plan, clean, "ResultTooLarge", message)
        return clean


def failed(error: RunError) -> Envelope:
    """The part of an envelope that tells of a failure."""
    return {"outcome": "failed", "error": error.as_json()}


def failure_of(envelope: Envelope) -> RunError | None:
    """The error that a step recorded, if it failed."""
    return RunError.from_json(envelope["error"]) if envelope["outcome"] == "failed" else None


async def _told_outcome(plan: StepPlan, attempt: int, body: Body, events: StepEvents) -> Envelope:
    with about_step(plan.step, attempt):
        envelope = await _outcome(plan, body, events)
        if envelope["outcome"] == "failed":
            # Not its message: that may quote what the tool was given.
            log.warning("step failed", what=plan.name, error=envelope["error"]["type"])
        return envelope


async def _outcome(plan: StepPlan, body: Body, events: StepEvents) -> Envelope:
    try:
        return await body(events)
    except (ControlError, Departure):
        raise
    except Exception as error:
        return failed(RunError.of(error, plan.step))
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        return failed(_crash(plan, "CancelledError"))
    except BaseException as error:
        return failed(_crash(plan, type(error).__name__))


def _crash(plan: StepPlan, raised: str) -> RunError:
    message = f"{plan.name} raised {raised}, which would have ended the worker. Raise an Exception instead."
    return RunError(type="ToolCrashed", message=message, step=plan.step)


def _without_result(plan: StepPlan, envelope: Envelope, error_type: str, message: str) -> Envelope:
    kept = {name: value for name, value in envelope.items() if name not in ("result", "response", "return_value")}
    return {**kept, **failed(RunError(type=error_type, message=message, step=plan.step))}
