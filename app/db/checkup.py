"""Looking a database over before a service depends on it: one finding for each thing that can be wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from app.db.engine import libpq_url, shown
from app.db.migrate import migrations_current

OLDEST_POSTGRES: Final = 14
_MAX_SKEW_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 5
_NOTIFY_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 10.0
_POOLER_TRIES: Final = 5
_CHANNEL: Final = "holdfast_checkup"

_WORKERS: Final = """
select worker.executor_id, worker.host, worker.pid, worker.application_version, worker.started_at,
       round(extract(epoch from clock_timestamp() - worker.heartbeat_at)::numeric, 1)::float8 as silent_seconds,
       (select count(*) from dbos.workflow_status as run where run.status = 'PENDING'
        and run.executor_id = worker.executor_id and holdfast.is_run(run.name)) as runs
from holdfast.workers as worker order by worker.started_at
"""
_OLDEST_QUEUED: Final = """
select count(*), coalesce((holdfast.now_ms() - min(updated_at)) / 1000.0, 0)::float8
from dbos.workflow_status where status = 'ENQUEUED' and holdfast.is_run(name)
"""


@dataclass(frozen=True)
class Finding:
    """What was found about one thing; `fix` is given when it is not well."""

    thing: str
    detail: str
    fix: str | None = None

    @property
    def well(self) -> bool:
        """Whether nothing has to be done."""
        return self.fix is None


def check_database(url: str, *, version: str) -> Iterator[Finding]:
    """Look at the database in the order in which things stand on each other, and stop where nothing more can be seen.

    `version` is the application version whose workers are expected.
    """
    try:
        connection = psycopg.connect(libpq_url(url), autocommit=True, connect_timeout=_CONNECT_SECONDS)
    except psycopg.OperationalError as error:
        yield Finding("database", str(error).strip(), "Check DATABASE_URL and that the server runs.")
        return
    with connection:
        yield _server(connection, url)
        yield _sessions(connection, url)
        yield _notifications(connection)
        yield _clock(connection)
        if not migrations_current(url):
            yield Finding("migrations", "The tables are not those of this version.", "Run `holdfast migrate`.")
            return
        yield Finding("migrations", "The tables are those of this version.")
        yield _queue(connection, version)


def list_workers(url: str) -> Sequence[dict[str, Any]]:
    """The workers that are registered, with the seconds since their last heartbeat and the runs that they hold."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        return connection.cursor(row_factory=dict_row).execute(_WORKERS).fetchall()


def _server(connection: Connection[Any], url: str) -> Finding:
    number = connection.info.server_version
    detail = f"Postgres {number // 10_000}.{number % 10_000} at {shown(url)}"
    if number < OLDEST_POSTGRES * 10_000:
        return Finding("database", detail, f"Holdfast needs Postgres {OLDEST_POSTGRES} or newer.")
    return Finding("database", detail)


def _sessions(connection: Connection[Any], url: str) -> Finding:
    # A pooler invents the process id that it tells its clients; the server tells the true one.
    if _server_process(connection) == connection.info.backend_pid:
        return Finding("connection", "Direct: session locks and LISTEN work.")
    with psycopg.connect(libpq_url(url), autocommit=True, connect_timeout=_CONNECT_SECONDS) as other:
        served_by = [{_server_process(one) for _ in range(_POOLER_TRIES)} for one in (connection, other)]
    if served_by[0] & served_by[1] or any(len(processes) > 1 for processes in served_by):
        return Finding(
            "connection",
            "A pooler such as PgBouncer gives each transaction another connection.",
            "Give DATABASE_URL of the server itself, or pool sessions (pool_mode = session).",
        )
    return Finding("connection", "A pooler keeps one connection for each session: session locks and LISTEN work.")


def _server_process(connection: Connection[Any]) -> int:
    (pid,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
    return pid


def _notifications(connection: Connection[Any]) -> Finding:
    began = time.monotonic()
    connection.execute(f"listen {_CHANNEL}")
    connection.execute(f"notify {_CHANNEL}")
    heard = next(connection.notifies(timeout=_NOTIFY_SECONDS, stop_after=1), None)
    connection.execute(f"unlisten {_CHANNEL}")
    if heard is None:
        fix = "Give DATABASE_URL of the server itself, not of a pooler or a replica."
        return Finding("notifications", f"A NOTIFY was not heard within {_NOTIFY_SECONDS:g} s.", fix)
    return Finding("notifications", f"Heard after {(time.monotonic() - began) * 1000:.0f} ms.")


def _clock(connection: Connection[Any]) -> Finding:
    before = time.time()
    (server,) = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone() or (before,)
    skew = server - (before + time.time()) / 2
    detail = f"The server's clock is {abs(skew):.2f} s {'ahead' if skew > 0 else 'behind'}."
    fix = (
        "Keep both clocks by NTP: times of steps and deadlines would be wrong."
        if abs(skew) > _MAX_SKEW_SECONDS
        else None
    )
    return Finding("clock", detail, fix)


def _queue(connection: Connection[Any], version: str) -> Finding:
    workers = connection.execute(_WORKERS).fetchall()
    fitting = [row for row in workers if row[3] == version and row[5] < SILENT_SECONDS]
    queued, oldest = connection.execute(_OLDEST_QUEUED).fetchone() or (0, 0.0)
    detail = f"{len(fitting)} workers of version {version!r}; {queued} queued runs, the oldest for {oldest:.0f} s."
    if not fitting:
        others = sorted({row[3] for row in workers} - {version})
        fix = "Start one with `holdfast worker`" + (
            f"; those of {', '.join(others)} take no such runs." if others else "."
        )
        return Finding("workers", detail, fix)
    return Finding("workers", detail)
