"""The options of MCP servers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from app.ai.mcp.content import ToolResult
from app.ai.mcp.policy import PolicyOptions
from app.ai.run_context import RunContext

if TYPE_CHECKING:
    from mcp.client.session import ElicitationFnT, LoggingFnT
    from mcp_types import Implementation, LoggingLevel

    from app.ai.models import KnownModelName, Model


class CallToolFunc(Protocol):
    """Calls a tool of the server by its own name; `metadata` travels in the request's `_meta`."""

    def __call__(
        self, name: str, args: dict[str, Any], metadata: dict[str, Any] | None = None, /
    ) -> Awaitable[ToolResult]: ...


ProcessToolCallback: TypeAlias = Callable[
    [RunContext[Any], CallToolFunc, str, dict[str, Any]],
    Awaitable[ToolResult],
]
"""Makes a run's calls to the server: called with the context, the function that calls, the tool and its arguments."""


class ServerOptions(PolicyOptions, total=False):
    """The options that every kind of server takes."""

    id: str | None
    """A name that is unique among the toolsets of an agent; durable runs need one."""
    tool_prefix: str | None
    """Put before each tool's name, with an underscore."""
    timeout: float
    """Seconds that the server may take to start."""
    read_timeout: float
    """Seconds that one request may take."""
    process_tool_call: ProcessToolCallback | None
    """Makes the call in our place, see there."""
    elicitation_callback: ElicitationFnT | None
    """Answers questions of the server at once; without one they wait for a person in durable runs."""
    allow_sampling: bool
    """Whether the server may ask the `sampling_model`."""
    sampling_model: Model | KnownModelName | str | None
    """Answers what the server asks a model; without one it may ask none."""
    max_samplings: int
    """How often the server may ask the model in one call."""
    max_sampling_tokens: int
    """The longest answer of the model."""
    roots: Iterable[str | Path] | None
    """Folders that the server is told it may work in."""
    cache_tools: bool
    """Whether the listing of tools is kept until the server says that it changed."""
    cache_resources: bool
    """The same for resources."""
    cache_seconds: float
    """How long a listing is kept at most."""
    max_retries: int
    """How often a failing call may be tried again by the model."""
    include_instructions: bool
    """Whether the model gets the server's instructions: text from outside, so not by default."""
    log_level: LoggingLevel | None
    """What the server is asked to log, where it can be asked; by default `info`."""
    log_handler: LoggingFnT | None
    """Gets the server's log messages in place of our log."""
    client_info: Implementation | None
    """What the server is told about this program, in place of what the SDK says."""
