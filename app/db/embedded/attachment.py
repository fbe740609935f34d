"""The user's side of the embedded Postgres: start it or join it, and stay connected."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from app.db.embedded.places import (
    EmbeddedPostgresError,
    Places,
    prepare_state,
    project_places,
    server_user,
    state_root,
    throwaway_places,
)
from app.db.embedded.postmaster import StopMode

ATTACH_SECONDS = 90.0
RETRY_SECONDS = 0.05
REVIVE_SECONDS = 1.0

logger = logging.getLogger(__name__)


def attach(
    project_dir: Path | str = ".", *, state_dir: Path | None = None, throwaway: bool = False
) -> EmbeddedPostgres:
    """Start the Postgres of a project, or join the one that runs, and return when it accepts connections.

    `state_dir` moves binaries and data away from the usual place. A throwaway server is nobody else's: its data is in a
    temporary directory, not synced to disk, and removed at the end. Raises EmbeddedPostgresError.
    """
    places = throwaway_places() if throwaway else project_places(Path(project_dir), state_root(state_dir))
    return EmbeddedPostgres(places, state_root(state_dir))


class EmbeddedPostgres:
    """A running Postgres that goes on as long as one of its users lives. Close it, or use it in a `with` block."""

    def __init__(self, places: Places, root: Path) -> None:
        self._places = places
        self._root = root
        self._closing = False
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._connection, ready = _connect(places, root)
        self.postmaster_pid: int = ready["postmaster"]
        self._listener = threading.Thread(target=self._listen, name="embedded-postgres", daemon=True)
        self._listener.start()

    @property
    def url(self) -> str:
        """The database URL, by Unix socket; the same for every process of the project and after every restart."""
        return self._places.url

    @property
    def log(self) -> Path:
        """The server's log, written anew at each start."""
        return self._places.log

    def restart(self, mode: StopMode = "fast") -> None:
        """Stop the server, for all its users, and start it again; `immediate` acts like a crash of Postgres."""
        self._connection.sendall(json.dumps({"restart": mode}).encode() + b"\n")
        try:
            self.postmaster_pid = self._answers.get(timeout=ATTACH_SECONDS)["postmaster"]
        except queue.Empty:
            raise EmbeddedPostgresError(f"Postgres did not come back within {ATTACH_SECONDS:.0f} s") from None

    def close(self) -> None:
        """Leave; returns when Postgres has stopped if nobody else uses it."""
        if self._closing:
            return
        self._closing = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        self._listener.join(ATTACH_SECONDS)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _listen(self) -> None:
        """Take the supervisor's answers; when it is gone and we still want Postgres, start both again."""
        while True:
            message = _read_line(self._connection)
            if message is not None:
                self._answers.put(message)
            elif self._closing:
                return
            else:
                self._revive()

    def _revive(self) -> None:
        try:
            connection, ready = _connect(self._places, self._root)
        except (EmbeddedPostgresError, OSError) as error:
            logger.error("the embedded Postgres is gone and does not start again: %s", error)
            time.sleep(REVIVE_SECONDS)
            return
        self._connection.close()
        self._connection, self.postmaster_pid = connection, ready["postmaster"]
        if self._closing:
            connection.shutdown(socket.SHUT_WR)
            return
        logger.warning("the embedded Postgres was gone and has been started again")


def _connect(places: Places, root: Path) -> tuple[socket.socket, dict[str, Any]]:
    """Join the supervisor that runs or start one; the lock decides who starts it."""
    prepare_state(places, server_user())
    deadline = time.monotonic() + ATTACH_SECONDS
    while time.monotonic() < deadline:
        connection = _join(places) or _start(places, root)
        ready = _read_line(connection) if connection else None
        if connection and ready and "error" not in ready:
            return connection, ready
        if connection:
            connection.close()
        if ready:
            raise EmbeddedPostgresError(ready["error"])
        time.sleep(RETRY_SECONDS)  # somebody else starts or stops it right now
    raise EmbeddedPostgresError(
        f"{places.lock} is held and nobody answers on {places.control}: is a Postgres left over there? "
        f"Its pid is the first line of {places.data / 'postmaster.pid'}; its logs are beside it."
    )


def _join(places: Places) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(places.control))
    except OSError:
        connection.close()
        return None
    return connection


def _start(places: Places, root: Path) -> socket.socket | None:
    """Start a supervisor as its first user. None: another one holds the lock."""
    with open(places.lock, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with theirs:
            _spawn(places, root, lock_fd=lock.fileno(), user_fd=theirs.fileno())
    return ours


def _spawn(places: Places, root: Path, *, lock_fd: int, user_fd: int) -> None:
    command = [
        sys.executable,
        "-m",
        "app.db.embedded",
        "--state",
        places.state,
        "--runtime",
        places.runtime,
        "--root",
        root,
    ]
    command += ["--lock-fd", str(lock_fd), "--user-fd", str(user_fd), *(["--throwaway"] if places.throwaway else [])]
    package_parent = str(Path(__file__).parents[3])
    search_path = [package_parent, *filter(None, [os.environ.get("PYTHONPATH")])]
    with open(places.supervisor_log, "w+b") as log:
        done = subprocess.run(
            command,
            check=False,
            cwd=places.state,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(search_path)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(lock_fd, user_fd),
            start_new_session=True,  # the terminal's Ctrl-C is not for it
        )
        if done.returncode != 0:
            log.seek(0)
            raise EmbeddedPostgresError(f"the supervisor of the embedded Postgres did not start: {log.read().decode()}")


def _read_line(connection: socket.socket) -> dict[str, Any] | None:
    """One message of the supervisor, or None when it has closed the connection."""
    received = b""
    while not received.endswith(b"\n"):
        try:
            piece = connection.recv(4096)
        except OSError:
            return None
        if not piece:
            return None
        received += piece
    return json.loads(received)
