"""Worker processes under test: started, killed for real, and watched through the database and a file of effects."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.ids import uuid7
from app.db.engine import dbos_url, make_engine
from app.db.outage import through_outage
from app.durable.client import NewRun, RunClient
from app.durable.inputs import RunInput
from tests.crash.agents import EFFECTS
from tests.crash.worker_main import CRASHES

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 40.0
Row = dict[str, Any]


async def until(condition: Callable[[], Awaitable[Any]], what: str, *, seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := await condition():
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {seconds:g} s")


@dataclass
class WorkerProcess:
    """One `worker_main` process; its log goes to a file that a failing test can show."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.process.wait()


@dataclass
class Cluster:
    """A database with workers on it. `environment` is what workers get besides their DATABASE_URL."""

    url: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    workers: list[WorkerProcess] = field(default_factory=list)

    async def __aenter__(self) -> Cluster:
        self.crashes = self.folder / "crashes"
        self.crashes.mkdir()
        self.effects_file = self.folder / "effects"
        self.effects_file.touch()
        self.engine: AsyncEngine = make_engine(self.url, pool_size=5, timeout=10)
        self.client = RunClient(dbos_url(self.url))
        return self

    async def __aexit__(self, *_: object) -> None:
        # Stopped, not killed: a process that ends by itself leaves its coverage behind.
        for worker in self.workers:
            if worker.process.returncode is None:
                worker.process.terminate()
        for worker in self.workers:
            try:
                await worker.ended()
            except TimeoutError:
                worker.process.kill()
                await worker.process.wait()
        await self.client.close()
        await self.engine.dispose()

    async def start_worker(self) -> WorkerProcess:
        """A worker that is ready to claim runs."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        environment = {
            **os.environ,
            "DATABASE_URL": self.url,
            EFFECTS: str(self.effects_file),
            CRASHES: str(self.crashes),
            "HOLDFAST_DRAIN_SECONDS": "1",
            **self.environment,
        }
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.crash.worker_main", cwd=ROOT, env=environment, stdout=output, stderr=output
            )
        worker = WorkerProcess(process, log)
        self.workers.append(worker)

        async def ready() -> bool:
            assert process.returncode is None, f"the worker ended:\n{log.read_text()}"
            return "worker ready" in log.read_text()

        await until(ready, "worker ready")
        return worker

    async def start_run(self, agent: str, prompt: str = "go", *, crash: str | None = None, **given: Any) -> str:
        """Enqueue a run. `crash` is "<step>:<point>" for the worker that gets it."""
        run_id = str(uuid7())
        if crash is not None:
            self.crash_next(run_id, crash)
        timeout = given.pop("timeout", None)
        conversation = given.pop("conversation_id", run_id)
        run = RunInput(agent=agent, prompt=prompt, conversation_id=conversation, **given)
        async with self.engine.begin() as connection:
            await self.client.enqueue(connection, NewRun(run_id, run, timeout_seconds=timeout))
        return run_id

    def crash_next(self, run_id: str, point: str) -> None:
        """Kill the worker that next comes to this point ("<step>:<point>") of the run."""
        (self.crashes / run_id).write_text(point)

    async def query(self, statement: str, **values: Any) -> list[Row]:
        async def ask(_again: bool) -> list[Row]:
            async with self.engine.connect() as connection:
                return [dict(row) for row in (await connection.execute(text(statement), values)).mappings()]

        return await through_outage(ask)

    async def query_once(self, statement: str, **values: Any) -> None:
        """Change something behind everybody's back."""
        async with self.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def run(self, run_id: str) -> Row:
        """The run as `holdfast.runs` shows it."""
        return (await self.query("select * from holdfast.runs where run_id = :r", r=run_id))[0]

    async def finished(self, run_id: str, *, seconds: float = PATIENCE_SECONDS) -> Row:
        """The run once it is terminal."""
        done = "select status from dbos.workflow_status where workflow_uuid = :r and completed_at is not null"
        await until(lambda: self.query(done, r=run_id), f"the end of {run_id}", seconds=seconds)
        return await self.run(run_id)

    async def waiting(self, run_id: str) -> Row:
        """The run once it waits."""
        parked = "select 1 from dbos.workflow_status where workflow_uuid = :r and status = 'DELAYED'"
        await until(lambda: self.query(parked, r=run_id), f"the waiting of {run_id}")
        return await self.run(run_id)

    async def steps(self, run_id: str) -> list[Row]:
        return await self.query("select * from holdfast.steps where run_id = :r order by step", r=run_id)

    async def events(self, run_id: str) -> list[Row]:
        return await self.query("select * from holdfast.run_events where run_id = :r order by seq", r=run_id)

    def effects(self) -> list[Row]:
        """What has been done, by whom: counted outside the processes."""
        return [json.loads(line) for line in self.effects_file.read_text().splitlines()]

    async def effect(self, name: str, *, more_than: int = 0, seconds: float = PATIENCE_SECONDS) -> None:
        """Return when an effect has happened more often than that."""

        async def happened() -> bool:
            return self.effect_counts()[name] > more_than

        await until(happened, f"effect {name}", seconds=seconds)

    def effect_counts(self) -> Counter[str]:
        return Counter(effect.get("name") or effect["note"] for effect in self.effects())
