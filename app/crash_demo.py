"""`python -m app.crash_demo`: kill -9 a worker in the middle of a tool call and watch its run finish elsewhere.

The driver owns Postgres, and counts effects in a file, outside the processes that are killed. Exit code 0 only if all
of what it promises held.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
from psycopg.rows import dict_row

from app.db.embedded import attach
from app.db.engine import libpq_url

PROMPT = "Look up kill -9 and add 19 and 23, then what time is it in Tokyo?"
SLOW_SECONDS = 3.0
TAKEOVER_SECONDS = 2.0

STEPS = """
select step, kind, name, attempt, attempts, outcome, round(duration_ms) as ms, left(output #>> '{}', 40) as output
from holdfast.steps where run_id = %s order by step"""
EVENTS = """
select seq, type, coalesce(data ->> 'worker', data ->> 'from_worker') as worker, created_at
from holdfast.run_events where run_id = %s and type like 'run\\_%%' order by seq"""

SETTLED = "select 1 where pg_postmaster_start_time() < clock_timestamp() - interval '10 seconds'"

T = TypeVar("T")
Row = dict[str, Any]


class DemoFailed(Exception):
    """Something that the demo needs did not happen in time."""


@dataclass
class Checks:
    """What held and what did not."""

    failed: list[str] = field(default_factory=list[str])

    def expect(self, holds: bool, claim: str) -> None:
        """Print one claim with its verdict."""
        print(f"  {'ok  ' if holds else 'FAIL'} {claim}")
        if not holds:
            self.failed.append(claim)


@dataclass
class Stage:
    """The processes of the demo and what they leave behind."""

    url: str
    folder: Path
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    @property
    def effects(self) -> list[Row]:
        """Every effect of a tool, in the order in which they happened."""
        file = self.folder / "effects"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start `holdfast …` with its output in a file of the stage."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            "HOLDFAST_PORT": str(self.port),
            "HOLDFAST_DEMO_SLOW_SECONDS": str(SLOW_SECONDS),
            "HOLDFAST_DEMO_EFFECTS": str(self.folder / "effects"),
        }
        with (self.folder / f"{command[0]}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", *command], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.processes.append(process)
        return process

    def query(self, statement: str, *parameters: object) -> list[Row]:
        """Rows of one statement."""
        with psycopg.connect(libpq_url(self.url)) as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), parameters).fetchall()

    def stop(self) -> None:
        """End what still runs."""
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main() -> int:
    """Play the demo. Returns the process's exit code."""
    with stage() as playing:
        try:
            return play(playing)
        except DemoFailed as failure:
            print(f"The demo did not get that far: {failure}", file=sys.stderr)
            for log in sorted(playing.folder.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text()[-2000:]}", file=sys.stderr)
            return 1


@contextmanager
def stage() -> Generator[Stage]:
    """Postgres, migrated; an API process and two workers, ready."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="holdfast-crash-")))
        postgres = stack.enter_context(attach(throwaway=True))
        playing = Stage(postgres.url, folder, _free_port())
        stack.callback(playing.stop)
        yield playing


def play(playing: Stage) -> int:
    """The demo, act by act."""
    _raise_curtain(playing)
    run_id = _post(playing)
    victim, killed_at = _kill_in_the_middle(playing, run_id)
    run = _eventually("the run ends", lambda: _ended(playing, run_id), 60)
    print(f"It ended: {run['status']} on worker {run['executor_id']}\n")
    print(f"{STEPS.strip()}\n")
    steps = playing.query(STEPS, run_id)
    _print_table(steps)
    print()
    checks = Checks()
    _check(checks, playing, run, victim, killed_at, steps)
    return 1 if checks.failed else 0


def _raise_curtain(playing: Stage) -> None:
    if playing.start("migrate").wait(120) != 0:
        raise DemoFailed("`holdfast migrate` failed")
    for command in ("worker", "worker", "api"):
        playing.start(command)
    _eventually("the API is ready", lambda: _get(playing, "/readyz"), 60)
    workers = _eventually("two workers are ready", lambda: _workers(playing, 2), 60)
    # For ten seconds after a start of Postgres nobody is declared dead: it has forgotten every lock.
    _eventually("Postgres has been up long enough", lambda: playing.query(SETTLED), 30)
    print("Two workers: " + ", ".join(f"{row['executor_id']} (pid {row['pid']})" for row in workers))


def _post(playing: Stage) -> str:
    response = httpx.post(f"http://127.0.0.1:{playing.port}/api/runs", json={"agent": "demo", "prompt": PROMPT})
    if response.status_code != 202:
        raise DemoFailed(f"POST /api/runs answered {response.status_code}: {response.text}")
    run_id: str = response.json()["run_id"]
    print(f"POST /api/runs {PROMPT!r}\n  -> run {run_id}")
    return run_id


def _kill_in_the_middle(playing: Stage, run_id: str) -> tuple[str, float]:
    """Kill the worker that holds the run while it is inside `slow_lookup`, with its sibling `add` finished."""
    _eventually("slow_lookup has begun", lambda: _effects(playing)["slow_lookup", "started"], 60)
    _eventually(
        "add is recorded", lambda: playing.query(f"select * from ({STEPS}) as s where name like '%%add'", run_id), 10
    )
    (holder,) = playing.query(
        "select workers.executor_id, workers.pid from holdfast.workers"
        " join holdfast.runs on runs.executor_id = workers.executor_id where runs.run_id = %s",
        run_id,
    )
    os.kill(holder["pid"], signal.SIGKILL)
    killed_at = time.time()
    print(f"kill -9 {holder['pid']} while its worker {holder['executor_id']} is inside slow_lookup")
    return holder["executor_id"], killed_at


def _check(checks: Checks, playing: Stage, run: Row, victim: str, killed_at: float, steps: list[Row]) -> None:
    events = playing.query(EVENTS, run["run_id"])
    resumed = next((event for event in events if event["type"] == "run_running" and event["worker"] != victim), None)
    after = resumed["created_at"].timestamp() - killed_at if resumed else float("inf")
    effects = _effects(playing)
    keys = {effect["idempotency_key"] for effect in playing.effects if effect["tool"] == "slow_lookup"}
    repeated = [step["name"] for step in steps if step["attempts"] > 1]
    checks.expect(run["status"] == "succeeded" and "42" in str(run["output"]), "the run finished with the right answer")
    checks.expect(run["executor_id"] != victim, f"taken over by {run['executor_id']}")
    checks.expect(after <= TAKEOVER_SECONDS, f"{after:.2f} s after the kill (promised: {TAKEOVER_SECONDS:g} s)")
    checks.expect(
        (effects["slow_lookup", "started"], effects["slow_lookup", "finished"]) == (2, 1) and len(keys) == 1,
        "slow_lookup: begun twice under one idempotency key, one effect",
    )
    checks.expect(effects["add", "finished"] == 1, "add, finished before the kill: one effect, not called again")
    checks.expect(len(repeated) == 1 and "slow_lookup" in repeated[0], f"steps with a second attempt: {repeated}")


def _effects(playing: Stage) -> Counter[tuple[str, str]]:
    return Counter((effect["tool"], effect["phase"]) for effect in playing.effects)


def _workers(playing: Stage, count: int) -> list[Row] | None:
    rows = playing.query("select executor_id, pid from holdfast.workers order by started_at")
    return rows if len(rows) == count else None


def _ended(playing: Stage, run_id: str) -> Row | None:
    (run,) = playing.query("select * from holdfast.runs where run_id = %s", run_id)
    return run if run["finished_at"] is not None or run["status"] == "waiting" else None


def _get(playing: Stage, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{playing.port}{path}").is_success
    except httpx.TransportError:
        return False


def _eventually(what: str, condition: Callable[[], T | None], seconds: float) -> T:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    raise DemoFailed(f"within {seconds:g} s: {what}")


def _print_table(rows: list[Row]) -> None:
    if not rows:
        return
    lines = [list(rows[0]), *([str(value) if value is not None else "" for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
