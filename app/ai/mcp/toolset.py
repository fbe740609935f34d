"""One class for every way to a server: the target tells which it is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from typing_extensions import Unpack

from app.ai.exceptions import UserError
from app.ai.mcp.config_file import load_mcp_servers
from app.ai.mcp.connection import Transport
from app.ai.mcp.http import MCPServerStreamableHTTP
from app.ai.mcp.options import ServerOptions
from app.ai.mcp.server import MCPServer
from app.ai.mcp.sse import MCPServerSSE
from app.ai.mcp.stdio import MCPServerStdio

if TYPE_CHECKING:
    import httpx2

Target: TypeAlias = Any
"""A URL, a script (`.py`, `.js`), `StdioServerParameters`, or a server of the SDK in this process."""

load_mcp_toolsets = load_mcp_servers


class MCPToolset(MCPServer):
    """The tools of the server that `client` names. `headers` and `auth` are for servers at a URL."""

    def __init__(
        self,
        client: Target,
        *,
        headers: Mapping[str, str] | None = None,
        auth: httpx2.Auth | None = None,
        **options: Unpack[ServerOptions],
    ):
        super().__init__(**options)
        self._way = _way_to(client, headers, auth)

    @property
    def target(self) -> str:
        return self._way.target

    def transport(self) -> Transport:
        return self._way.transport()


class _InProcess(MCPServer):
    def __init__(self, server: Any):
        super().__init__()
        self._server = server

    @property
    def target(self) -> str:
        return f"{self._server.name!r} in this process"

    def transport(self) -> Transport:
        return _NoWay(self._server)


class _NoWay(Transport):
    def __init__(self, server: Any):
        super().__init__()
        self.served = server

    async def __aenter__(self) -> tuple[Any, Any]:
        raise AssertionError("the SDK needs no streams to a server in its own process")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return None


def _way_to(target: Target, headers: Mapping[str, str] | None, auth: httpx2.Auth | None) -> MCPServer:
    address = os.fspath(target) if isinstance(target, str | Path) else None
    if address is not None and address.startswith(("http://", "https://")):
        return _at_url(address, headers, auth)
    if headers or auth:
        raise UserError("`headers` and `auth` are for servers at a URL")
    return _started(target) if address is None else _script(address)


def _at_url(url: str, headers: Mapping[str, str] | None, auth: httpx2.Auth | None) -> MCPServer:
    if not url.rstrip("/").endswith("/sse"):
        return MCPServerStreamableHTTP(url, headers=headers, auth=auth)
    if auth is not None:
        raise UserError("`auth` is for streamable HTTP; give a server of event streams its `headers`")
    return MCPServerSSE(url, headers=headers)


def _script(path: str) -> MCPServer:
    programs = {".py": sys.executable, ".js": "node"}
    program = programs.get(Path(path).suffix)
    if program is None:
        raise UserError(f"{path!r} is neither a URL nor a script (.py or .js); use MCPServerStdio for a command")
    return MCPServerStdio(program, [path])


def _started(server: Any) -> MCPServer:
    if hasattr(server, "command"):
        return MCPServerStdio(server.command, server.args, env=server.env, cwd=server.cwd)
    if hasattr(server, "name") and hasattr(server, "streamable_http_app"):
        return _InProcess(server)
    raise UserError(f"An MCPToolset takes a URL, a script or a server, not {server!r}")
