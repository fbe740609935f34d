"""The demo model behind real HTTP: OpenAI's Chat Completions on a loopback port, streamed and not.

It runs in a thread of the process that asks it, so it needs no configuration, dies with that process, and goes on
answering while a tool blocks the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

from app.agents.demo.replies import Reply, reply

DELTA_VARIABLE = "HOLDFAST_DEMO_DELTA_SECONDS"
MODEL = "demo"

_PATH = "/v1/chat/completions"

_lock = threading.Lock()
_ports: dict[int, Future[int]] = {}


def base_url() -> str:
    """Where this process's model server listens; the first call starts it."""
    process = os.getpid()
    with _lock:
        # Keyed by process: a forked child inherits the entry but not the thread.
        port = _ports.get(process)
        if port is None:
            port = _ports[process] = Future()
            threading.Thread(target=_serve, args=(port,), name="demo model", daemon=True).start()
    return f"http://127.0.0.1:{port.result()}/v1"


def _serve(port: Future[int]) -> None:
    async def main() -> None:
        server = await asyncio.start_server(_handle, "127.0.0.1", 0)
        port.set_result(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    try:
        asyncio.run(main())
    except OSError as err:
        port.set_exception(err)


async def _handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await _respond(reader, writer)
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass  # nobody who speaks HTTP is left to tell
    finally:
        writer.close()


async def _respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    start, *lines = head.split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    if start.split(" ")[:2] != ["POST", _PATH]:
        return await _send(writer, 404, {"error": {"message": f"POST {_PATH} is all there is"}})
    try:
        request = json.loads(body)
        answer = reply(request["messages"], [tool["function"]["name"] for tool in request.get("tools") or ()])
    except (ValueError, LookupError, TypeError) as err:
        return await _send(writer, 400, {"error": {"message": f"not a chat completion request: {err!r}"}})
    if request.get("stream"):
        return await _stream(writer, request, answer)
    return await _send(writer, 200, _completion(request, answer))


async def _send(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    content = json.dumps(body).encode()
    writer.write(_head(status, "application/json", f"content-length: {len(content)}") + content)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, request: dict[str, Any], answer: Reply) -> None:
    delay = float(os.environ.get(DELTA_VARIABLE, "0.02"))
    writer.write(_head(200, "text/event-stream", "transfer-encoding: chunked"))
    for event in _events(request, answer):
        data = f"data: {event}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
        await asyncio.sleep(delay)
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _head(status: int, content_type: str, framing: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"content-type: {content_type}", framing]
    return "\r\n".join([*lines, "connection: close", "", ""]).encode()


def _events(request: dict[str, Any], answer: Reply) -> Iterator[str]:
    """The answer as the data of server-sent events, in pieces as a real model would send them."""
    chunk = {**_envelope(request, "chat.completion.chunk"), "usage": None}

    def event(delta: dict[str, Any], finish_reason: str | None = None) -> str:
        return json.dumps({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    yield event({"role": "assistant", "content": None if answer.calls else ""})
    for word in re.findall(r"\S+\s*", answer.text):
        yield event({"content": word})
    for index, call in enumerate(_tool_calls(answer)):
        function = call["function"]
        yield event({"tool_calls": [{**call, "index": index, "function": {**function, "arguments": ""}}]})
        yield event({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
    yield event({}, _finish_reason(answer))
    yield json.dumps({**chunk, "choices": [], "usage": _usage(request, answer)})
    yield "[DONE]"


def _completion(request: dict[str, Any], answer: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = _tool_calls(answer)
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(answer)}
    return {**_envelope(request, "chat.completion"), "choices": [choice], "usage": _usage(request, answer)}


def _envelope(request: dict[str, Any], kind: str) -> dict[str, Any]:
    # The id follows from the request: asking again gives the same answer in every byte but its time.
    digest = hashlib.sha256(json.dumps(request["messages"]).encode()).hexdigest()
    return {"id": f"chatcmpl-{digest[:24]}", "object": kind, "created": int(time.time()), "model": MODEL}


def _tool_calls(answer: Reply) -> list[dict[str, Any]]:
    return [
        {"id": call.id, "type": "function", "function": {"name": call.tool, "arguments": json.dumps(call.args)}}
        for call in answer.calls
    ]


def _finish_reason(answer: Reply) -> str:
    return "tool_calls" if answer.calls else "stop"


def _usage(request: dict[str, Any], answer: Reply) -> dict[str, int]:
    """Words instead of tokens."""
    asked = len(json.dumps(request["messages"]).split())
    answered = len(answer.text.split()) + sum(len(json.dumps(call.args).split()) + 1 for call in answer.calls)
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}
