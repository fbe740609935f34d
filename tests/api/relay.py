"""A wire to Postgres that tests can cut or freeze."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from typing import Any

import psycopg.conninfo
from sqlalchemy import make_url


class Relay:
    """Forwards connections to a Postgres. `cut` refuses and drops them, `freeze` lets them hang, `mend` undoes both."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._frozen = threading.Event()
        self._sockets: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.mend()

    @property
    def url(self) -> str:
        """The same database, over this wire."""
        target = self._target.set(host="127.0.0.1", port=self.port, query={})
        return target.render_as_string(hide_password=False)

    def mend(self) -> None:
        """Let everything through again."""
        self._frozen.clear()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def cut(self) -> None:
        """Refuse new connections and drop the open ones."""
        if self._listener is not None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for open_socket in list(self._sockets):
            with contextlib.suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Accept connections and carry nothing."""
        self._frozen.set()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._carry, args=[client, self._connect()], daemon=True).start()

    def _connect(self) -> socket.socket:
        parameters: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(
            self._target.set(drivername="postgresql").render_as_string(hide_password=False)
        )
        host, port = parameters.get("host", "127.0.0.1"), int(parameters.get("port", 5432))
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        self._sockets |= other.keys()
        with client, server, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            for end in other:
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select(0.05):
                    if self._frozen.is_set():
                        continue
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    other[key.fileobj].sendall(data)  # type: ignore[index]
        self._sockets -= other.keys()
