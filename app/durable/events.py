"""Events of a step while its body runs: batched, committed before the step's checkpoint, and never on replay."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.messages import AgentStreamEvent
from app.db import events as event_store
from app.durable.names import EVENT_CHANNEL
from app.durable.serializer import sanitized

BATCH_SECONDS: Final = 0.04
NOTIFY_SECONDS: Final = 0.02

Event = dict[str, Any]

_stream_event: TypeAdapter[Any] = TypeAdapter(AgentStreamEvent)


class Notifier:
    """Wakes followers: one NOTIFY for all runs that got events within `NOTIFY_SECONDS`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._touched: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def touch(self, run_id: str) -> None:
        """Announce that the run has new events."""
        self._touched.add(run_id)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._notify())

    async def _notify(self) -> None:
        while self._touched:
            await asyncio.sleep(NOTIFY_SECONDS)
            runs, self._touched = sorted(self._touched), set()
            try:
                await event_store.notify(self._engine, EVENT_CHANNEL, runs)
            except Exception:  # a hint only: followers re-read each second anyway
                return


@dataclass
class StepEvents:
    """The event writer of one attempt of one step. `fenced` is called when the run turns out to be somebody else's."""

    engine: AsyncEngine
    notifier: Notifier
    run_id: str
    owner: str
    step: int
    attempt: int
    fenced: Callable[[], None]
    _waiting: list[Event] = field(default_factory=list[Event])
    _batch: int = 0
    _mine: bool = True
    _flusher: asyncio.Task[None] | None = None
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def emit(self, event_type: str, data: Event) -> None:
        """Take an event; it is committed within `BATCH_SECONDS`. Neighbouring text deltas of a part become one, and of
        neighbouring progress the newest is kept."""
        clean, _ = sanitized(data)
        if not (self._waiting and _merge(self._waiting[-1], event_type, clean)):
            self._waiting.append({"type": event_type, "data": clean})
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush_later())

    def emit_stream_event(self, event: AgentStreamEvent) -> None:
        """Take an event of the agent core under its published JSON form, `event_kind` becoming the type."""
        data = _stream_event.dump_python(event, mode="json")
        self.emit(data.pop("event_kind"), data)

    async def close(self) -> bool:
        """Commit what is left. False when the run is no longer this execution's."""
        if self._flusher is not None:
            flusher, self._flusher = self._flusher, None
            flusher.cancel()
            await asyncio.wait({flusher})
        await self._flush()
        return self._mine

    async def _flush_later(self) -> None:
        while self._waiting:
            await asyncio.sleep(BATCH_SECONDS)
            # Shielded: `close` may cut the pause short, never a commit whose fate would be unknown.
            await asyncio.shield(self._flush())
            if not self._mine:
                self.fenced()
                return
        self._flusher = None

    async def _flush(self) -> None:
        async with self._flushing:
            if not (self._waiting and self._mine):
                return
            batch, self._waiting = self._waiting, []
            self._batch += 1
            place = {"step": self.step, "attempt": self.attempt, "batch": self._batch}
            rows = [{**event, **place} for event in batch]
            self._mine = await event_store.append(self.engine, self.run_id, self.owner, rows) is not None
            self.notifier.touch(self.run_id)


def _merge(last: Event, event_type: str, data: Event) -> bool:
    """Put an event into the one before it, a text delta or progress of the same call; True when that was possible."""
    if event_type == last["type"] == "tool_progress":
        last["data"] = data
        return True
    if not (event_type == last["type"] == "part_delta" and data["index"] == last["data"]["index"]):
        return False
    delta, earlier = data["delta"], last["data"]["delta"]
    only_text = delta["part_delta_kind"] == "text" and not delta.get("provider_details")
    if not (only_text and earlier["part_delta_kind"] == "text"):
        return False
    earlier["content_delta"] += delta["content_delta"]
    return True
