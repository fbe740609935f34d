"""A worker's presence: an OS thread with its own connection that keeps the lock and heartbeat, and buries the dead.

    register → beat … beat → hand_back (drain)
                 │ connection lost: connect again, take the lock again, find the row
                 └ row gone: somebody has our runs now → `on_lost`, which ends this process

Not on the event loop: a tool that blocks the loop must not make the worker look dead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import structlog
from psycopg import Connection

from app.db.workers import WorkerIdentity, WorkerTable
from app.durable import names
from app.durable.dbos_internals import active_runs

log: Any = structlog.get_logger(__name__)

BEAT_SECONDS: Final = 0.25
SWEEP_SECONDS: Final = 10.0
UNSTARTED_SECONDS: Final = 5.0
_RECONNECT_SECONDS: Final = 0.1


@dataclass
class Presence:
    """Keeps one worker known to the others. `frozen_seconds`: age of a heartbeat after which its worker counts as lost
    although its lock is held. `on_lost` is called from the thread, once, when others have taken this worker's runs."""

    url: str
    worker: WorkerIdentity
    frozen_seconds: float
    key_lifetime_seconds: float
    on_lost: Callable[[], None]
    _stop: threading.Event = field(default_factory=threading.Event)
    _idle_since: dict[str, float] = field(default_factory=dict[str, float])
    _last_sweep: float = field(default_factory=time.monotonic)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Register and return when the lock is held and the row is there."""
        connection = self._connect()
        table = self._table(connection)
        self._lock(table)
        table.register(self.worker)
        self._thread = threading.Thread(target=self._keep, args=(connection,), name="presence", daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End the thread, hand this worker's runs to the others, release the lock. Returns how many runs."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        with self._connect() as connection:
            return self._table(connection).hand_back(self.worker.executor_id)

    def _keep(self, connection: Connection[Any]) -> None:
        while not self._stop.is_set():
            try:
                with connection:
                    self._watch(self._table(connection))
            except psycopg.Error as error:
                log.warning("presence connection lost", error=type(error).__name__)
                found = self._return()
                if found is None:
                    return
                connection = found

    def _watch(self, table: WorkerTable) -> None:
        me = self.worker.executor_id
        while not self._stop.wait(BEAT_SECONDS):
            if not table.beat(me):
                self._lose()
                return
            for dead, runs in table.bury_dead(me, frozen_seconds=self.frozen_seconds).items():
                log.info("took over", from_worker=dead, runs=runs)
            if time.monotonic() - self._last_sweep > SWEEP_SECONDS:
                self._sweep(table)

    def _sweep(self, table: WorkerTable) -> None:
        self._last_sweep = time.monotonic()
        orphans = table.sweep_orphans(orphan_seconds=SWEEP_SECONDS)
        if orphans:
            log.warning("requeued runs of no living worker", runs=orphans)
        table.forget_keys(lifetime_seconds=self.key_lifetime_seconds)
        unstarted = self._unstarted(table.mine_pending(self.worker.executor_id))
        if unstarted:
            log.warning("requeued claimed runs that never started", runs=unstarted)
            table.requeue_mine(self.worker.executor_id, unstarted)

    def _unstarted(self, claimed: set[str]) -> list[str]:
        """Runs that have been claimed but not executed for `UNSTARTED_SECONDS`: DBOS lost them between the two."""
        now = time.monotonic()
        idle = claimed - active_runs()
        self._idle_since = {run_id: self._idle_since.get(run_id, now) for run_id in idle}
        return sorted(run_id for run_id, since in self._idle_since.items() if now - since >= UNSTARTED_SECONDS)

    def _return(self) -> Connection[Any] | None:
        """A new connection that holds the lock, as soon as Postgres allows; None when stopped or replaced."""
        while not self._stop.wait(_RECONNECT_SECONDS):
            try:
                connection = self._connect()
                table = self._table(connection)
                if not table.beat(self.worker.executor_id):
                    connection.close()
                    self._lose()
                    return None
                self._lock(table)
                return connection
            except psycopg.Error:
                continue
        return None

    def _lose(self) -> None:
        self._stop.set()
        log.error("others have taken over this worker's runs", worker=self.worker.executor_id)
        self.on_lost()

    def _lock(self, table: WorkerTable) -> None:
        # The session that held the lock before may take a moment to die; meanwhile the heartbeat speaks for us.
        while not table.lock(self.worker.executor_id) and not self._stop.wait(_RECONNECT_SECONDS):
            table.beat(self.worker.executor_id)

    def _table(self, connection: Connection[Any]) -> WorkerTable:
        return WorkerTable(connection, names.WORKER_LOCK_NAMESPACE, names.RUN_QUEUE)

    def _connect(self) -> Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, connect_timeout=2, application_name="holdfast presence")
