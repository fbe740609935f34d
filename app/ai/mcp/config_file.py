"""MCP servers from a JSON file in the format that most MCP clients share: `{"mcpServers": {name: {…}}}`."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from pydantic import BaseModel, Field, ValidationError, model_validator

from app.ai.mcp.http import MCPServerStreamableHTTP
from app.ai.mcp.sse import MCPServerSSE
from app.ai.mcp.stdio import MCPServerStdio

AnyMCPServer: TypeAlias = MCPServerStdio | MCPServerStreamableHTTP | MCPServerSSE

_VARIABLE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}", re.ASCII)


class _File(BaseModel):
    servers: dict[str, Any] = Field(alias="mcpServers")


class _Entry(BaseModel):
    # Keys that only other clients know are no mistake.
    type: Literal["stdio", "http", "streamable-http", "streamableHttp", "sse"] | None = None
    command: str | None = None
    args: list[str] = Field(default_factory=list[str])
    env: dict[str, str] | None = None
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] | None = None

    @model_validator(mode="after")
    def _has_one_way(self) -> _Entry:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either `command` or `url`")
        if self.type is not None and (self.type == "stdio") != (self.url is None):
            raise ValueError(f"`type` {self.type!r} does not go with {'`command`' if self.url is None else '`url`'}")
        return self


def load_mcp_servers(config_path: str | Path) -> list[AnyMCPServer]:
    """The servers of a JSON file, each with its name there as `id` and as `tool_prefix`.

    In any text, `${NAME}` stands for the environment variable and `${NAME:-default}` for a default if it is not set.
    Without a `type`, a URL that ends with `/sse` is that of an event stream.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not as described; the message names the server and the key.
    """
    path = Path(config_path)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as err:
        raise ValueError(f"{path} is not JSON: {err}") from err
    try:
        entries = _File.model_validate(content).servers
    except ValidationError:
        raise ValueError(f"{path} has no object `mcpServers` at its top") from None
    return [server_of_entry(name, entry, place=str(path)) for name, entry in entries.items()]


def server_of_entry(name: str, entry: Any, *, place: str) -> AnyMCPServer:
    """One server, as an entry of such a file describes it; `place` tells in errors where that stands."""
    return _server(name, _entry(f"{place}, server {name!r}", entry))


def _entry(place: str, entry: Any) -> _Entry:
    try:
        return _Entry.model_validate(_expanded(entry, place, key=""))
    except ValidationError as err:
        first = err.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        where = f"{place}, key {key!r}" if key else place
        # Not the whole error: it would show the values, and those may be secrets.
        raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def _expanded(value: Any, place: str, *, key: str) -> Any:
    match value:
        case str():
            return _VARIABLE.sub(lambda found: _variable(found, f"{place}, key {key!r}"), value)
        case dict():
            fields = cast("dict[str, Any]", value)
            return {name: _expanded(inner, place, key=_below(key, name)) for name, inner in fields.items()}
        case list():
            items = cast("list[Any]", value)
            return [_expanded(inner, place, key=_below(key, str(index))) for index, inner in enumerate(items)]
        case _:
            return value


def _variable(found: re.Match[str], place: str) -> str:
    name = found[1]
    default: str | None = found[2]
    text = os.environ.get(name, default)
    if text is None:
        raise ValueError(
            f"{place}: the environment variable {name} is not set. Set it, or write ${{{name}:-default}} in the file."
        )
    return text


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _server(name: str, entry: _Entry) -> AnyMCPServer:
    if entry.command is not None:
        return MCPServerStdio(entry.command, entry.args, env=entry.env, cwd=entry.cwd, id=name, tool_prefix=name)
    url = entry.url or ""
    is_stream = entry.type == "sse" or (entry.type is None and url.rstrip("/").endswith("/sse"))
    kind = MCPServerSSE if is_stream else MCPServerStreamableHTTP
    return kind(url, headers=entry.headers, id=name, tool_prefix=name)
