"""MCP servers that we start as a child process and talk to over its stdin and stdout."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from typing_extensions import Unpack

from app.ai.mcp.connection import Transport, Watched
from app.ai.mcp.options import ServerOptions
from app.ai.mcp.server import MCPServer

if TYPE_CHECKING:
    from mcp import StdioServerParameters
    from mcp.client._transport import TransportStreams

logger = logging.getLogger(__name__)

_SPAWN = Path(__file__).with_name("spawn.py")
_LAST_WORDS = 4000  # characters
_STDERR_GRACE = 0.5  # seconds between a process's end and the end of its stderr


class MCPServerStdio(MCPServer):
    """An MCP server started as `command args…`; it ends when it is no longer used, and never outlives this process.

    The child sees only HOME, PATH and the like of our environment, and what `env` adds.
    """

    def __init__(
        self,
        command: str,
        args: Sequence[str] = (),
        *,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        **options: Unpack[ServerOptions],
    ):
        super().__init__(**options)
        self.command = command
        self.args = list(args)
        self.env = dict(env) if env is not None else None
        self.cwd = cwd

    @property
    def target(self) -> str:
        # Later arguments may be secrets; the first ones tell which program this is.
        shown: list[str] = []
        for argument in self.args:
            if argument.startswith("--") or "://" in argument or "=" in argument:
                shown.append("…")
                break
            shown.append(argument)
        return " ".join([self.command, *shown])

    def transport(self) -> Transport:
        from mcp import StdioServerParameters

        command, *args = _mortal([self.command, *self.args])
        return _StdioTransport(StdioServerParameters(command=command, args=args, env=self.env, cwd=self.cwd))


def _mortal(command: list[str]) -> list[str]:
    """The command such that the kernel kills it when this process dies; elsewhere it sees the end of its stdin."""
    if sys.platform != "linux" or not sys.executable:
        return command
    return [sys.executable, "-I", "-S", str(_SPAWN), str(os.getpid()), *command]


class _StdioTransport(Transport):
    def __init__(self, parameters: StdioServerParameters):
        super().__init__()
        self._parameters = parameters
        self._stderr = _Stderr()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> TransportStreams:
        from mcp.client.stdio import stdio_client

        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stderr.end)
            with await self._stderr.open() as errlog:
                reading, writing = await stack.enter_async_context(stdio_client(self._parameters, errlog))
            self._stack = stack.pop_all()
        return Watched(reading, self.gone), writing

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._stack.__aexit__(kind, error, trace)

    def last_words(self) -> str:
        return self._stderr.text.strip()


class _Stderr(asyncio.Protocol):
    """Reads a child's stderr, so that it never blocks on a full pipe, and keeps the end of it."""

    def __init__(self) -> None:
        self.text = ""
        self._closed = asyncio.Event()
        self._pipe: asyncio.ReadTransport | None = None

    async def open(self) -> TextIO:
        """The writing end; close it once the child has its own copy."""
        reading, writing = os.pipe()
        reader = os.fdopen(reading, "rb", buffering=0)
        self._pipe, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: self, reader)
        return os.fdopen(writing, "w", encoding="utf-8")

    async def end(self) -> None:
        """Wait for the rest, not for long: a grandchild may hold the pipe open."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), _STDERR_GRACE)
        if self._pipe is not None:
            self._pipe.close()

    def data_received(self, data: bytes) -> None:
        text = data.decode("utf-8", errors="replace")
        logger.debug("stderr of an MCP server: %s", text)
        self.text = (self.text + text)[-_LAST_WORDS:]

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()
