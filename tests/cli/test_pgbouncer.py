"""PgBouncer between us and Postgres, for real: what doctor says of its pool modes, and what works."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.db.engine import libpq_url
from tests.api.conftest import until
from tests.cli.test_operations import holdfast
from tests.cli.test_processes import START_SECONDS, Start, free_port, launch, start_run, worker_pids

__all__ = ["launch"]

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not Path(PROGRAM).exists(), reason="pgbouncer is not installed"),
]


@contextmanager
def pgbouncer(url: str, pool_mode: str) -> Iterator[str]:
    """The URL of the database behind a PgBouncer of this pool mode."""
    server = conninfo_to_dict(libpq_url(url))
    target = " ".join(
        f"{name}={server[name]}" for name in ("host", "port", "user", "password", "dbname") if name in server
    )
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        settings = Path(folder, "pgbouncer.ini")
        settings.write_text(
            f"[databases]\n{server['dbname']} = {target}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
            f"auth_type = any\npool_mode = {pool_mode}\ndefault_pool_size = 60\nunix_socket_dir =\n"
        )
        # It refuses to be root, and the socket of our embedded server is open to its own user only.
        owner = os.stat(str(server["host"])) if str(server.get("host", "")).startswith("/") else None
        user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if owner and os.getuid() == 0 else {}
        os.chmod(folder, 0o755)
        process = subprocess.Popen([PROGRAM, "-q", str(settings)], **user, stderr=subprocess.DEVNULL)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        pooled = f"postgresql://postgres@127.0.0.1:{port}/{server['dbname']}"

        def answers() -> bool:
            with suppress(psycopg.OperationalError), psycopg.connect(pooled):
                return True
            return False

        until(answers)
        yield pooled


def test_doctor_refuses_pooled_transactions(database_url: str) -> None:
    with pgbouncer(database_url, "transaction") as pooled:
        shown = holdfast(pooled, "doctor").stdout
    assert "FAIL  connection: A pooler such as PgBouncer gives each transaction another connection." in shown
    assert "pool_mode = session" in shown


def test_a_service_works_behind_pooled_sessions(launch: Start, database_url: str, database: psycopg.Connection) -> None:
    with pgbouncer(database_url, "session") as pooled:
        api, worker = launch("api", url=pooled), launch("worker", url=pooled)
        api.ready()
        until(lambda: worker_pids(database), START_SECONDS)
        assert start_run(api.url, "What is 19 + 23?", wait=40)["status"] == "succeeded"
        shown = holdfast(pooled, "doctor")
        assert "ok    connection: A pooler keeps one connection for each session" in shown.stdout
        assert shown.returncode == 0, shown.stdout
        assert (worker.stop(), api.stop()) == (0, 0)
        assert worker_pids(database) == []
        assert "Exception" not in worker.stderr.read_text() + api.stderr.read_text()
