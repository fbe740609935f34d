"""Workers as Postgres sees them: a session lock and a heartbeat row each. Sync, for the presence thread.

A worker is dead when its lock is free and its heartbeat is older than `LOCK_FREE_SECONDS`, or when its heartbeat is
older than the takeover limit (host lost, process frozen). Neither counts while Postgres itself has just started,
since a restart frees every lock and stops every heartbeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

from psycopg import Connection

LOCK_FREE_SECONDS: Final = 1.0
POSTGRES_SETTLING_SECONDS: Final = 10.0

_LOCK: Final = "select pg_try_advisory_lock(%(namespace)s, hashtext(%(executor_id)s))"
_REGISTER: Final = """
    insert into holdfast.workers (executor_id, application_version, host, pid)
    values (%(executor_id)s, %(application_version)s, %(host)s, %(pid)s)
"""
_BEAT: Final = "update holdfast.workers set heartbeat_at = clock_timestamp() where executor_id = %(executor_id)s"
_SUSPECTS: Final = """
    select executor_id, heartbeat_at < clock_timestamp() - make_interval(secs => %(frozen)s) as frozen
    from holdfast.workers
    where executor_id <> %(executor_id)s
      and heartbeat_at < clock_timestamp() - make_interval(secs => %(lock_free)s)
      and pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %(settling)s)
"""
# The lock's two keys stand in classid and objid; objsubid 2 marks the two-key form.
_END_SESSION: Final = """
    select pg_terminate_backend(pid) from pg_locks
    where locktype = 'advisory' and objsubid = 2 and classid::bigint = %(namespace)s
      and database = (select oid from pg_database where datname = current_database())
      and objid::bigint = hashtext(%(suspect)s)::bigint & 4294967295
"""
_LOCK_FREE: Final = "select pg_try_advisory_xact_lock(%(namespace)s, hashtext(%(suspect)s))"
_STILL_SILENT: Final = """
    select heartbeat_at < clock_timestamp() - make_interval(secs => %(lock_free)s)
    from holdfast.workers where executor_id = %(suspect)s for update
"""
_FORGET: Final = "delete from holdfast.workers where executor_id = %(suspect)s"
_REQUEUE: Final[LiteralString] = """
    update dbos.workflow_status
    set status = 'ENQUEUED', owner_xid = null, started_at_epoch_ms = null, updated_at = holdfast.now_ms(),
        queue_name = coalesce(queue_name, %(queue)s)
"""
_TAKE_OVER: Final = _REQUEUE + "where status = 'PENDING' and executor_id = %(suspect)s and holdfast.is_run(name)"
# A hand-back is no failed recovery: the claim that it ends is given back.
_HAND_BACK: Final = (
    _REQUEUE
    + ", recovery_attempts = greatest(recovery_attempts - 1, 0)"
    + " where status = 'PENDING' and executor_id = %(suspect)s and holdfast.is_run(name)"
)
_SWEEP_ORPHANS: Final = (
    _REQUEUE
    + """where status = 'PENDING' and holdfast.is_run(name)
      and updated_at < holdfast.now_ms() - %(orphan_ms)s
      and not exists (select 1 from holdfast.workers as worker where worker.executor_id = workflow_status.executor_id)
      and pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => %(settling)s)
    """
)
_FORGET_KEYS: Final = """
    delete from holdfast.idempotency_keys where created_at < clock_timestamp() - make_interval(secs => %(lifetime)s)
"""
_MINE_PENDING: Final = """
    select workflow_uuid from dbos.workflow_status
    where status = 'PENDING' and executor_id = %(executor_id)s and holdfast.is_run(name)
"""
_SWEEP_MINE: Final = (
    _REQUEUE + "where status = 'PENDING' and executor_id = %(executor_id)s and workflow_uuid = any(%(run_ids)s)"
)


@dataclass(frozen=True)
class WorkerIdentity:
    """How a worker process is known: `executor_id` is new at every start."""

    executor_id: str
    application_version: str
    host: str
    pid: int


@dataclass(frozen=True)
class WorkerTable:
    """The statements on workers, for one connection and one lock namespace and queue."""

    connection: Connection[Any]
    namespace: int
    queue: str

    def lock(self, executor_id: str) -> bool:
        """Take the worker's session lock; False while another session (perhaps our own dying one) holds it."""
        return bool(self._one(_LOCK, executor_id=executor_id))

    def register(self, worker: WorkerIdentity) -> None:
        """Add the worker's row."""
        self.connection.execute(_REGISTER, vars(worker))

    def beat(self, executor_id: str) -> bool:
        """Refresh the heartbeat; False when the row is gone: others have taken this worker's runs over."""
        return self.connection.execute(_BEAT, {"executor_id": executor_id}).rowcount == 1

    def bury_dead(self, executor_id: str, *, frozen_seconds: float) -> dict[str, int]:
        """Take over from dead workers. Returns how many runs of each went back to the queue."""
        values = {
            "executor_id": executor_id,
            "frozen": frozen_seconds,
            "lock_free": LOCK_FREE_SECONDS,
            "settling": POSTGRES_SETTLING_SECONDS,
        }
        suspects = self.connection.execute(_SUSPECTS, values).fetchall()
        buried = {name: self._bury(name, end_session=frozen) for name, frozen in suspects}
        return {name: runs for name, runs in buried.items() if runs is not None}

    def hand_back(self, executor_id: str) -> int:
        """Give this worker's runs to the others and remove its row. Returns how many runs."""
        with self.connection.transaction():
            handed = self.connection.execute(_HAND_BACK, {"suspect": executor_id, "queue": self.queue}).rowcount
            self.connection.execute(_FORGET, {"suspect": executor_id})
        return handed

    def sweep_orphans(self, *, orphan_seconds: float) -> int:
        """Requeue runs whose worker has no row at all. Returns how many."""
        values = {
            "queue": self.queue,
            "orphan_ms": int(orphan_seconds * 1000),
            "settling": POSTGRES_SETTLING_SECONDS,
        }
        return self.connection.execute(_SWEEP_ORPHANS, values).rowcount

    def forget_keys(self, *, lifetime_seconds: float) -> int:
        """Delete idempotency keys whose time is over. Returns how many."""
        return self.connection.execute(_FORGET_KEYS, {"lifetime": lifetime_seconds}).rowcount

    def mine_pending(self, executor_id: str) -> set[str]:
        """Runs that this worker has claimed, as the database sees it."""
        return {row[0] for row in self.connection.execute(_MINE_PENDING, {"executor_id": executor_id})}

    def requeue_mine(self, executor_id: str, run_ids: Sequence[str]) -> int:
        """Requeue runs that this worker claimed but does not execute. Returns how many."""
        values = {"executor_id": executor_id, "run_ids": list(run_ids), "queue": self.queue}
        return self.connection.execute(_SWEEP_MINE, values).rowcount

    def _bury(self, suspect: str, *, end_session: bool) -> int | None:
        values = {"suspect": suspect, "namespace": self.namespace, "queue": self.queue, "lock_free": LOCK_FREE_SECONDS}
        if end_session:
            self.connection.execute(_END_SESSION, values)
        with self.connection.transaction():
            if not self._one(_LOCK_FREE, suspect=suspect):
                return None
            if not self._one(_STILL_SILENT, **values):
                return None
            taken = self.connection.execute(_TAKE_OVER, values).rowcount
            self.connection.execute(_FORGET, values)
        return taken

    def _one(self, statement: LiteralString, **values: Any) -> Any:
        row = self.connection.execute(statement, {"namespace": self.namespace, **values}).fetchone()
        return None if row is None else row[0]
