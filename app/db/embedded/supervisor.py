"""The process that owns an embedded Postgres: starts it, counts its users, stops it when the last one is gone.

It speaks lines of JSON with its users. To each that connects: `{"ready": true, "postmaster": pid}` or
`{"error": text}`. From a user: `{"restart": "fast" | "immediate"}`, answered like a connect. A closed connection is a
user that left.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import shutil
import signal
import socket
import sys
from pathlib import Path

from app.db.embedded.places import EmbeddedPostgresError, Places, bin_dir, prepare_runtime, server_user
from app.db.embedded.postmaster import Postmaster

LOOK_SECONDS = 0.5  # how soon a Postgres that died by itself is noticed


class Supervisor:
    """Serves the users of one server until the last one has left, or Postgres is gone."""

    def __init__(self, places: Places, postmaster: Postmaster, first_user: socket.socket) -> None:
        self._postmaster = postmaster
        self._selector = selectors.DefaultSelector()
        self._users: set[socket.socket] = set()
        self._last_user: socket.socket | None = (
            None  # its connection ends with us: that tells it that Postgres has stopped
        )
        self._listener = _listen(places)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._welcome(first_user)

    def serve(self) -> None:
        """Return when nobody needs the server any more."""
        while self._users and self._postmaster.alive():
            for key, _ in self._selector.select(LOOK_SECONDS):
                if key.fileobj is self._listener:
                    self._welcome(self._listener.accept()[0])
                elif isinstance(key.fileobj, socket.socket):
                    self._hear(key.fileobj)

    def _welcome(self, user: socket.socket) -> None:
        self._users.add(user)
        self._selector.register(user, selectors.EVENT_READ)
        self._tell_ready(user)

    def _hear(self, user: socket.socket) -> None:
        try:
            line = user.recv(4096)
        except ConnectionError:
            line = b""
        if line:
            self._postmaster.stop(json.loads(line)["restart"])
            self._postmaster.start()
            self._tell_ready(user)
        else:
            self._farewell(user)

    def _farewell(self, user: socket.socket) -> None:
        self._selector.unregister(user)
        self._users.discard(user)
        if self._users:
            user.close()
        else:
            self._last_user = user

    def _tell_ready(self, user: socket.socket) -> None:
        _tell(user, {"ready": True, "postmaster": self._postmaster.pid})


def _listen(places: Places) -> socket.socket:
    """Under a temporary name first, so that a user finds a socket that answers or none."""
    fresh = places.control.with_name("control.new")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(fresh))
    fresh.chmod(0o600)
    listener.listen(64)
    fresh.rename(places.control)
    return listener


def _tell(user: socket.socket, message: dict[str, object]) -> None:
    """Send one line; a user that has left meanwhile is noticed by its closed connection."""
    with contextlib.suppress(OSError):
        user.sendall(json.dumps(message).encode() + b"\n")


def supervise(places: Places, root: Path, *, lock_fd: int, first_user: socket.socket) -> None:
    """Start Postgres, serve, stop. The lock is ours already: whoever started us took it and passed it on."""
    try:
        user = server_user()
        prepare_runtime(places, user)
        postmaster = Postmaster(places, bin_dir(root, user), user, lock_fd=lock_fd)
        try:
            postmaster.start()
            supervisor = Supervisor(places, postmaster, first_user)  # keeps the last user's connection until we return
            supervisor.serve()
        finally:
            places.control.unlink(missing_ok=True)  # no new users from here on
            postmaster.stop()
            shutil.rmtree(places.runtime, ignore_errors=True)
    except (EmbeddedPostgresError, OSError) as error:
        _tell(first_user, {"error": str(error)})


def _go_on(_sign: int, _frame: object) -> None:
    return


def _leave(_sign: int, _frame: object) -> None:
    sys.exit(0)  # by an exception, so that Postgres is stopped on the way out


def main() -> None:
    """Read what `attach` passes on the command line and supervise."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--state", "--runtime", "--root"):
        parser.add_argument(name, type=Path, required=True)
    for name in ("--lock-fd", "--user-fd"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--throwaway", action="store_true")
    options = parser.parse_args()
    if os.fork() > 0:
        os._exit(0)  # whoever started us waits for this; the supervisor is nobody's child to be reaped or warned about
    # Ctrl-C and a closed terminal are meant for our users. Handlers, because Postgres would inherit SIG_IGN.
    for sign in (signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, _go_on)
    signal.signal(signal.SIGTERM, _leave)
    places = Places(options.state, options.runtime, options.throwaway)
    supervise(places, options.root, lock_fd=options.lock_fd, first_user=socket.socket(fileno=options.user_fd))
