"""A provider on loopback that gives prepared answers over real HTTP and remembers what it was asked."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """One prepared answer. With `cut`, the connection is closed after the body without the stream's proper end."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    chunk: int | None = None
    cut: bool = False
    hold: bool = False
    """Keep the stream open until the client hangs up."""


def completion(message: dict[str, Any] | None = None, **fields: Any) -> Answer:
    """A whole answer with one choice."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", **(message or {"content": "Hello"})},
        "finish_reason": "stop",
    }
    return as_json({"id": "c1", "model": "m-1", "created": 1700000000, "choices": [choice], **fields})


def as_json(data: Any, status: int = 200, **options: Any) -> Answer:
    return Answer(json.dumps(data).encode(), status, **options)


def stream(*chunks: Any, done: bool = True, **options: Any) -> Answer:
    """A streamed answer: dicts become JSON, strings stay as they are."""
    lines = [
        chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in (*chunks, *(["[DONE]"] if done else []))
    ]
    body = "".join(f"data: {line}\n\n" for line in lines).encode()
    return Answer(body, content_type="text/event-stream", **options)


def delta(finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    """One piece of a streamed answer."""
    choice = {"index": 0, "delta": fields, "finish_reason": finish_reason}
    return {"id": "c1", "model": "m-1", "created": 1700000000, "choices": [choice]}


@dataclass
class ChatServer:
    """A running server: what it was asked, and whether a client hung up on it."""

    url: str
    answers: Sequence[Answer]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each request came, in seconds of the epoch."""
    hung_up: threading.Event = field(default_factory=threading.Event)

    def next_answer(self, target: str, body: dict[str, Any], headers: dict[str, str]) -> Answer:
        self.times.append(time.time())
        self.targets.append(target)
        self.requests.append(body)
        self.headers.append(headers)
        return self.answers[min(len(self.requests), len(self.answers)) - 1]


@contextmanager
def serve(answers: Sequence[Answer]) -> Iterator[ChatServer]:
    """Serve the answers one after another; the last one again and again."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = ChatServer(f"http://127.0.0.1:{http.server_address[1]}/v1", answers)
    http.chat_server = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self._give_next(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def do_GET(self) -> None:
        self._give_next({})

    def _give_next(self, body: dict[str, Any]) -> None:
        chat_server: ChatServer = self.server.chat_server  # type: ignore[attr-defined]
        answer = chat_server.next_answer(self.path, body, {key.lower(): value for key, value in self.headers.items()})
        self._start(answer)
        size = answer.chunk or max(len(answer.body), 1)
        for start in range(0, len(answer.body), size):
            self._put(answer.body[start : start + size])
        if answer.hold:
            self._wait_for_hang_up(chat_server)
        if answer.cut or answer.hold:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _start(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for key, value in answer.headers.items():
            self.send_header(key, value)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _put(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def _wait_for_hang_up(self, chat_server: ChatServer) -> None:
        self.connection.settimeout(10)
        if not self.connection.recv(1):
            chat_server.hung_up.set()

    def log_message(self, *args: Any) -> None:
        pass
