"""Every command of docs/operations.md, in its order, on a service with a key and a real worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from app.db.embedded import packaged_program
from app.db.engine import database_name
from tests.api.conftest import until
from tests.cli.test_processes import START_SECONDS, Start, free_port, launch, worker_pids
from tests.conftest import server_connection

__all__ = ["launch"]

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
STAYING = re.compile(r"holdfast (api|worker)\b")
KEY = "a-long-random-text"


def stays(command: str, environment: dict[str, str], log: Path) -> None:
    """Run a command that serves, until it does, and stop it."""
    with log.open("wb") as written:
        process = subprocess.Popen(["sh", "-c", f"exec {command}"], env=environment, stderr=written)
    try:
        number = 4 if "-n 4" in command else 1
        said = "Uvicorn running" if "api" in command else '"worker ready"'
        until(lambda: log.read_text().count(said) == number, 2 * START_SECONDS)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def cancelled_run(http: httpx.Client) -> str:
    """A run that was stopped in the middle, after a step."""
    run_id = http.post("/api/runs", json={"agent": "demo", "prompt": "look up Postgres for 20 seconds"}).json()[
        "run_id"
    ]
    until(lambda: http.get(f"/api/runs/{run_id}/steps").json()["steps"], START_SECONDS)
    assert http.post(f"/api/runs/{run_id}/cancel").json()["status"] == "cancelled"
    return run_id


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_each_command_of_the_page_works(
    launch: Start, database: psycopg.Connection, database_url: str, unmigrated_database_url: str, tmp_path: Path
) -> None:
    api = launch("api", HOLDFAST_API_KEY=KEY)
    launch("worker")
    api.ready()
    until(lambda: worker_pids(database), START_SECONDS)
    with httpx.Client(base_url=api.url, headers={"x-api-key": KEY}, timeout=30) as http:
        run_id = cancelled_run(http)
    with server_connection(database_url) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(database_name(unmigrated_database_url))))
    programs = [str(Path(sys.executable).parent), str(packaged_program("pg_dump").parent), os.environ["PATH"]]
    environment = {
        **os.environ,
        "PATH": os.pathsep.join(programs),
        "DATABASE_URL": database_url,
        "RESTORED_URL": unmigrated_database_url,
        "HOLDFAST_URL": api.url,
        "HOLDFAST_API_KEY": KEY,
        "HOLDFAST_PORT": str(free_port()),
        "RUN_ID": run_id,
    }
    for command in COMMANDS:
        began = time.monotonic()
        if STAYING.match(command):
            stays(command, environment, tmp_path / "log")
        else:
            done = subprocess.run(
                ["sh", "-c", command],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        print(f"{time.monotonic() - began:5.1f} s  {command}")
    with psycopg.connect(unmigrated_database_url) as restored:
        row = restored.execute("select prompt #>> '{}' from holdfast.runs where run_id = %s", [run_id]).fetchone()
        assert row == ("look up Postgres for 20 seconds",)
