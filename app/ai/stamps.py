"""What gets stamped on messages and parts: times and call ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self
from uuid import uuid4


class CallableTimestamp(datetime):
    """A time that may also be called, because results offer `timestamp` both as a method and as a value."""

    @classmethod
    def of(cls, time: datetime) -> Self:
        return cls.combine(time.date(), time.timetz())

    def __call__(self) -> datetime:
        return self


def now_utc() -> datetime:
    """The current time, timezone-aware in UTC."""
    return datetime.now(tz=UTC)


def generate_tool_call_id() -> str:
    """An id for a tool call whose provider gave none."""
    return f"pyd_ai_{uuid4().hex}"
