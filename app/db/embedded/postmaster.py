"""One Postgres server as a child process: initialise its data once, start, stop."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from app.db.embedded.places import MAJOR_VERSION, EmbeddedPostgresError, Places, ServerUser

PR_SET_PDEATHSIG = 1
START_SECONDS = 60.0
STOP_SECONDS = 20.0

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Nothing that a test writes has to survive the machine, only the server process.
THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

StopMode = Literal["fast", "immediate"]
STOP_SIGNALS: dict[StopMode, signal.Signals] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postmaster:
    """The server of one data directory. Use it from the main thread only: PDEATHSIG follows the thread that forks."""

    def __init__(self, places: Places, programs: Path, user: ServerUser | None, *, lock_fd: int) -> None:
        self._places = places
        self._programs = programs
        self._user = user
        self._lock_fd = lock_fd
        self._process: subprocess.Popen[Any] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start and wait until the server accepts connections. Raises EmbeddedPostgresError with the end of its log."""
        self._initialise()
        settings = SETTINGS | (THROWAWAY_SETTINGS if self._places.throwaway else {})
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        command = [self._programs / "postgres", "-D", self._places.data, "-k", self._places.sockets, *options]
        with open(self._places.log, "wb") as log:
            # The server and its backends inherit the lock: it is free only when all of them are gone.
            self._process = subprocess.Popen(
                command,
                **self._as_user(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock_fd,),
                preexec_fn=_die_with(os.getpid()),
            )
        self._wait_until_ready()

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop and wait for the end; a server that does not stop in time is stopped the immediate way, then killed."""
        if self._process is None:
            return
        for sign in (STOP_SIGNALS[mode], signal.SIGQUIT, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(sign)
            try:
                self._process.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue

    def _initialise(self) -> None:
        version = self._places.data / "PG_VERSION"
        if version.exists():
            found = version.read_text().strip()
            if found != MAJOR_VERSION:
                raise EmbeddedPostgresError(
                    f"{self._places.data} was written by Postgres {found}, this Holdfast brings {MAJOR_VERSION}. "
                    f"Dump it with Postgres {found} (pg_dump) and move the directory away, or set DATABASE_URL."
                )
            return
        # An interrupted initdb must not look like a database, so it gets its name when it is whole.
        fresh = self._places.data.with_name("pgdata.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(fresh, self._user.uid, self._user.gid)
        self._run_initdb(fresh)
        fresh.rename(self._places.data)

    def _run_initdb(self, directory: Path) -> None:
        command = [self._programs / "initdb", "-D", directory, "-U", "postgres", "--auth=trust", "--encoding=UTF8"]
        # The builtin provider sorts alike on every machine; libc's order changes with the operating system.
        command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
        if self._places.throwaway:
            command.append("--no-sync")
        done = subprocess.run(command, **self._as_user(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed: {done.stderr.strip()[-1000:]} (or set DATABASE_URL)")

    def _as_user(self) -> dict[str, Any]:
        environment = {"PATH": os.defpath, "LC_ALL": "C"}  # no PGDATA, PGHOST and the like from outside
        options: dict[str, Any] = {"cwd": self._places.state, "env": environment}
        if self._user is not None:
            options |= {"user": self._user.uid, "group": self._user.gid, "extra_groups": []}
        return options

    def _wait_until_ready(self) -> None:
        pid_file = self._places.data / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive():
                log = self._places.log.read_text(errors="replace")[-1000:]
                raise EmbeddedPostgresError(f"Postgres did not start: {log.strip()}")
            if self._is_ready(pid_file):
                return
            time.sleep(0.02)
        self.stop("immediate")
        raise EmbeddedPostgresError(f"Postgres was not ready after {START_SECONDS:.0f} s; see {self._places.log}")

    def _is_ready(self, pid_file: Path) -> bool:
        """The postmaster writes its pid to the first line and its status to the eighth, as pg_ctl reads them too."""
        try:
            lines = pid_file.read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self.pid) and lines[7].strip() == "ready"


def _die_with(parent: int) -> Callable[[], None] | None:
    """A hook that ties the child to its parent; it runs after setuid, which would clear the tie. Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def hook() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:  # the parent died before the tie was made
            os._exit(1)

    return hook
