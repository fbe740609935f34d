"""How runs and steps fail, as data; and the two private ways out of a workflow that are no failure.

RunError            what a failed run or step stores: type, message, step, reason
Departure           BaseException: leaves the workflow without an outcome; DBOS writes nothing
  Parked            the run waits as a DELAYED row, it costs no process anything
  RetryLater        the step's body wants to be performed again at some moment: the journal parks the run
  OutcomeUnknown    an earlier attempt of a call was lost and the call must not be repeated
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from dbos import error as dbos_error

REASON_DIVERGED = "diverged"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(eq=False)
class RunError(Exception):
    """Why a step or a run failed, in a form that survives the database.

    `type` is the class name of the original error, `step` the number of the step that failed (None: outside a step),
    `reason` a machine-readable word (`error`, `diverged`, …).
    """

    type: str
    message: str
    step: int | None = None
    reason: str = "error"
    details: Any = None

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"

    @classmethod
    def of(cls, error: BaseException, step: int | None = None) -> RunError:
        """The storable form of any exception."""
        if isinstance(error, RunError):
            return error
        diverged = isinstance(error, dbos_error.DBOSUnexpectedStepError)
        return cls(
            type="Diverged" if diverged else type(error).__name__,
            message=storable(_text(error)),
            step=step,
            reason=REASON_DIVERGED if diverged else "error",
            details=_details(error),
        )

    def as_json(self) -> dict[str, Any]:
        """JSON object of the fields that are set."""
        fields = {
            "type": self.type,
            "message": self.message,
            "step": self.step,
            "reason": self.reason,
            "details": self.details,
        }
        return {name: value for name, value in fields.items() if value is not None}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The error that `as_json` wrote; unknown fields are ignored."""
        return cls(
            type=fields.get("type", "Error"),
            message=fields.get("message", ""),
            step=fields.get("step"),
            reason=fields.get("reason", "error"),
            details=fields.get("details"),
        )


class ResultNotSerializable(Exception):
    """A tool did its work but returned what JSON cannot hold: it is recorded as failed and never called again."""

    def __init__(self, type_name: str, problem: str) -> None:
        super().__init__(
            f"a {type_name} was returned, which cannot be stored as JSON ({problem})."
            " Return text, numbers, lists, dicts, dataclasses or pydantic models."
        )


class Departure(BaseException):
    """Leaves a workflow without an outcome. Not an Exception, so that neither users' code nor DBOS catches it."""


class Parked(Departure):
    """The run's row is DELAYED now; a decision or its deadline brings it back."""


class RetryLater(Departure):
    """The provider is to be asked again at `moment`; until then the run has nothing to do.

    `billed` says whether what came to nothing may have cost something.
    """

    def __init__(self, moment: datetime, error: RunError, *, billed: bool) -> None:
        self.moment = moment
        self.error = error
        self.billed = billed
        super().__init__(moment, error)


class OutcomeUnknown(Departure):
    """A call that must not be repeated began once and its end was never recorded."""


def storable(text: str) -> str:
    """`text` with NUL and lone surrogates, which Postgres refuses in jsonb, replaced by U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def _text(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # a user's broken __str__ must not cost the run its outcome
        return type(error).__name__


def _details(error: BaseException) -> dict[str, Any] | None:
    found = {name: getattr(error, name, None) for name in ("status_code", "model_name", "code", "request_id")}
    return {name: value for name, value in found.items() if isinstance(value, str | int)} or None
