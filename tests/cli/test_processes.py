"""`holdfast serve`, `api`, `worker` and `migrate` as processes: they start, survive and stop."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from app.db.engine import libpq_url
from tests.api.conftest import Stage, until

START_SECONDS = 40.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Process:
    """A `holdfast` command on a database, with its output in files."""

    def __init__(self, folder: Path, database_url: str | None, *arguments: str, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stdout, self.stderr = folder / "stdout", folder / "stderr"
        environment = {**os.environ, "HOLDFAST_PORT": str(self.port), "HOLDFAST_DRAIN_SECONDS": "1", **settings}
        environment.pop("DATABASE_URL", None)
        if database_url:
            environment["DATABASE_URL"] = database_url
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            command = [sys.executable, "-m", "app.cli", *arguments]
            self.process = subprocess.Popen(command, stdout=out, stderr=err, env=environment)

    def ready(self) -> None:
        """Wait until HTTP is served."""

        until(self.answers, START_SECONDS)

    def answers(self) -> bool:
        """Whether HTTP is served now."""
        assert self.process.poll() is None, self.stderr.read_text()
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/readyz").is_success
        return False

    def stop(self, number: int = signal.SIGINT, seconds: float = 15) -> int:
        """Send a signal and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


Start = Callable[..., Process]


@pytest.fixture
def launch(tmp_path: Path, database_url: str) -> Generator[Start]:
    started: list[Process] = []

    def begin(*arguments: str, url: str | None = database_url, **settings: str) -> Process:
        folder = tmp_path / str(len(started))
        folder.mkdir()
        started.append(Process(folder, url, *arguments, **settings))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


def worker_pids(database: psycopg.Connection) -> list[int]:
    return [pid for (pid,) in database.execute("select pid from holdfast.workers").fetchall()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def start_run(url: str, prompt: str, *, agent: str = "demo", wait: int = 0) -> dict[str, Any]:
    headers = {"Prefer": f"wait={wait}"} if wait else {}
    body = {"agent": agent, "prompt": prompt}
    return httpx.post(f"{url}/api/runs", json=body, headers=headers, timeout=60).json()


@pytest.mark.slow
def test_serve_shows_a_first_prompt_and_stops_with_its_worker(launch: Start, database: psycopg.Connection) -> None:
    service = launch("serve", "--first-prompt", "What is 19 + 23?")
    until(lambda: "Stop everything" in service.stderr.read_text(), START_SECONDS)
    shown = service.stdout.read_text()
    assert "42" in shown
    assert "tool:add\treturned" in shown
    assert f"curl -s {service.url}/api/runs" in service.stderr.read_text()
    (worker,) = worker_pids(database)
    assert service.stop(signal.SIGINT) == 0
    assert not alive(worker)
    assert worker_pids(database) == []
    assert "Traceback" not in service.stderr.read_text()


@pytest.mark.slow
def test_serve_replaces_a_dead_worker_and_the_run_goes_on(launch: Start, database: psycopg.Connection) -> None:
    service = launch("serve", HOLDFAST_DEMO_SLOW_SECONDS="2")
    service.ready()
    (worker,) = until(lambda: worker_pids(database), START_SECONDS)
    run = start_run(service.url, "Look up postgres")
    path = f"{service.url}/api/runs/{run['run_id']}"
    until(lambda: any(step["kind"] == "model" for step in httpx.get(f"{path}/steps").json()["steps"]), 20)
    os.kill(worker, signal.SIGKILL)
    assert httpx.get(f"{path}?wait=40", timeout=60).json()["status"] == "succeeded"
    assert worker not in worker_pids(database)
    assert "ended with code -9" in service.stderr.read_text()


@pytest.mark.slow
def test_a_worker_does_not_outlive_its_service(launch: Start, database: psycopg.Connection) -> None:
    service = launch("serve")
    service.ready()
    (worker,) = until(lambda: worker_pids(database), START_SECONDS)
    service.process.kill()
    until(lambda: not alive(worker), 20)


@pytest.mark.slow
def test_sigterm_ends_a_busy_service_in_time(launch: Start, database: psycopg.Connection) -> None:
    service = launch("serve", HOLDFAST_DEMO_SLOW_SECONDS="60")
    service.ready()
    run = start_run(service.url, "Look up postgres")
    lines: list[str] = []

    def follow() -> None:
        with httpx.stream("GET", f"{service.url}/api/runs/{run['run_id']}/events", timeout=60) as response:
            lines.extend(line for line in response.iter_lines() if line)

    follower = threading.Thread(target=follow)
    follower.start()
    until(lambda: database.execute("select 1 from holdfast.attempts where kind = 'tool'").fetchone(), START_SECONDS)
    assert service.stop(signal.SIGTERM, seconds=15) == 0
    follower.join(5)
    assert lines[-1] == "retry: 1000"
    row = database.execute("select status, recovery_attempts from holdfast.runs").fetchone()
    assert row is not None
    assert row[0] == "queued"


@pytest.mark.slow
def test_api_and_workers_run_apart(launch: Start, database: psycopg.Connection) -> None:
    api, workers = launch("api"), launch("worker", "-n", "2")
    api.ready()
    until(lambda: len(worker_pids(database)) == 2, START_SECONDS)
    assert start_run(api.url, "What is 1 + 1?", wait=40)["status"] == "succeeded"
    assert (workers.stop(signal.SIGTERM), api.stop(signal.SIGTERM)) == (0, 0)
    assert worker_pids(database) == []


def test_other_machines_are_let_in_with_a_key_only(launch: Start) -> None:
    service = launch("api", "--host", "0.0.0.0")
    assert service.process.wait(30) == 2
    assert "HOLDFAST_API_KEY" in service.stderr.read_text()


def test_keys_and_passwords_are_never_logged(launch: Start, database_url: str) -> None:
    secrets = ["the-bootstrap-key", "hf_0123456789ab_some-secret", "wrong-key"]
    service = launch("api", HOLDFAST_API_KEY=secrets[0], HOLDFAST_LOG_LEVEL="debug")
    service.ready()
    for secret in secrets:
        httpx.get(f"{service.url}/api/runs", headers={"x-api-key": secret})
        httpx.get(f"{service.url}/api/nothing", headers={"authorization": f"Bearer {secret}"})
    assert service.stop(signal.SIGTERM) == 0
    logged = service.stderr.read_text() + service.stdout.read_text()
    password = conninfo_to_dict(libpq_url(database_url)).get("password")
    assert logged
    assert not [secret for secret in [*secrets, password] if secret and str(secret) in logged]


@pytest.mark.slow
def test_keys_of_models_are_neither_logged_nor_stored(
    launch: Start, database: psycopg.Connection, tmp_path: Path
) -> None:
    secret = "sk-a-key-of-a-provider"
    (tmp_path / "remote_agents.py").write_text("from app.ai import Agent\nAGENTS = {'far': Agent('openai:gpt-5.2')}\n")
    settings = {
        "HOLDFAST_AGENTS": "remote_agents",
        "PYTHONPATH": os.pathsep.join([os.getcwd(), str(tmp_path)]),
        "OPENAI_API_KEY": secret,
        "OPENAI_BASE_URL": f"http://user:{secret}@127.0.0.1:9/v1",
        "HOLDFAST_LOG_LEVEL": "debug",
    }
    api, worker = launch("api", **settings), launch("worker", **settings)
    api.ready()
    run_id = start_run(api.url, "hello", agent="far")["run_id"]
    until(lambda: f'"run_id": "{run_id}"' in worker.stderr.read_text(), START_SECONDS)
    until(lambda: database.execute("select 1 from holdfast.attempts").fetchone(), START_SECONDS)
    run = httpx.get(f"{api.url}/api/runs/{run_id}?wait=20", timeout=30).text
    told = [run, *(httpx.get(f"{api.url}/api/runs/{run_id}/{part}").text for part in ("steps", "messages"))]
    events = httpx.get(f"{api.url}/api/runs/{run_id}/events", headers={"accept": "application/json"}).text
    agents = httpx.get(f"{api.url}/api/agents").text
    assert (worker.stop(), api.stop()) == (0, 0)
    logged = [process.stderr.read_text() + process.stdout.read_text() for process in (api, worker)]
    assert not [text for text in [*told, events, agents, *logged] if secret in text]


@pytest.mark.parametrize(
    ("url", "said"),
    [(None, "DATABASE_URL is not set"), ("sqlite:///x", "runs on Postgres only"), ("x", "DATABASE_URL")],
)
@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
def test_a_wrong_database_url_stops_the_boot(launch: Start, command: str, url: str | None, said: str) -> None:
    service = launch(command, url=url)
    assert service.process.wait(30) == 2
    assert said in service.stderr.read_text()
    assert "Traceback" not in service.stderr.read_text()


def test_migrate_makes_a_database_and_says_so(launch: Start, unmigrated_database_url: str) -> None:
    for _ in range(2):
        migration = launch("migrate", url=unmigrated_database_url)
        assert migration.process.wait(60) == 0
        assert migration.stderr.read_text().endswith("The database is up to date.\n")
    with psycopg.connect(libpq_url(unmigrated_database_url)) as connection:
        assert connection.execute("select count(*) from holdfast.runs").fetchone() == (0,)


def test_migrate_without_a_server_says_what_to_check(launch: Start) -> None:
    migration = launch("migrate", url="postgresql://nobody@127.0.0.1:9/none")
    assert migration.process.wait(30) == 1
    assert "check DATABASE_URL" in migration.stderr.read_text()


def test_following_goes_on_when_the_api_was_killed_and_is_back(
    launch: Start, database: psycopg.Connection, tmp_path: Path
) -> None:
    first = launch("api")
    first.ready()
    run_id = start_run(first.url, "hello")["run_id"]
    command = [sys.executable, "-m", "app.cli", "runs", "follow", run_id, "--url", first.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as follower:
        progress = follower.stderr
        assert progress is not None
        until(lambda: progress.readline().endswith("queued\n"))
        first.process.kill()
        first.process.wait()
        second = launch("api", "--port", str(first.port))
        stage = Stage(database)
        stage.say(run_id, "meanwhile")
        stage.succeed(run_id, "the answer")
        answer, _ = follower.communicate(timeout=40)
    assert (follower.returncode, answer) == (0, "the answer\n")
    assert second.process.poll() is None
