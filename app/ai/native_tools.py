"""Tools that providers run themselves; a request offers them in `ModelRequestParameters.native_tools`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from typing_extensions import TypedDict

from app.ai.run_context import AgentDepsT, RunContext

__all__ = (
    "NATIVE_TOOL_TYPES",
    "SUPPORTED_NATIVE_TOOLS",
    "AbstractBuiltinTool",
    "AbstractNativeTool",
    "AgentNativeTool",
    "CodeExecutionTool",
    "FileSearchTool",
    "ImageGenerationTool",
    "MCPServerTool",
    "MemoryTool",
    "NativeToolFunc",
    "ToolSearchTool",
    "UrlContextTool",
    "WebFetchTool",
    "WebSearchTool",
    "WebSearchUserLocation",
    "XSearchTool",
)


@dataclass(kw_only=True)
class AbstractNativeTool:
    """A tool that the provider runs. A model refuses the ones that its API does not have."""

    kind: str = ""

    @property
    def unique_id(self) -> str:
        """What tells this tool from the others of a request."""
        return self.kind


class WebSearchUserLocation(TypedDict, total=False):
    """Roughly where the user is."""

    city: str
    country: str
    """Two letters, as in ISO 3166."""
    region: str
    timezone: str
    """As in the IANA database."""


@dataclass(kw_only=True)
class WebSearchTool(AbstractNativeTool):
    """Searching the web."""

    search_context_size: Literal["low", "medium", "high"] = "medium"
    user_location: WebSearchUserLocation | None = None
    blocked_domains: Sequence[str] | None = None
    allowed_domains: Sequence[str] | None = None
    max_uses: int | None = None
    kind: str = "web_search"


@dataclass(kw_only=True)
class WebFetchTool(AbstractNativeTool):
    """Reading pages whose addresses stand in the conversation."""

    max_uses: int | None = None
    allowed_domains: Sequence[str] | None = None
    blocked_domains: Sequence[str] | None = None
    enable_citations: bool = False
    max_content_tokens: int | None = None
    kind: str = "web_fetch"


@dataclass(kw_only=True)
class CodeExecutionTool(AbstractNativeTool):
    """Running code in the provider's sandbox."""

    kind: str = "code_execution"


@dataclass(kw_only=True)
class ImageGenerationTool(AbstractNativeTool):
    """Making images."""

    background: Literal["transparent", "opaque", "auto"] = "auto"
    output_format: Literal["png", "webp", "jpeg"] | None = None
    quality: Literal["low", "medium", "high", "auto"] = "auto"
    size: str | None = None
    kind: str = "image_generation"


@dataclass(kw_only=True)
class MemoryTool(AbstractNativeTool):
    """The provider's memory protocol; a function tool named `memory` answers the calls."""

    kind: str = "memory"


@dataclass(kw_only=True)
class MCPServerTool(AbstractNativeTool):
    """An MCP server that the provider connects to by itself."""

    id: str
    """The server's name in the conversation."""
    url: str
    authorization_token: str | None = None
    description: str | None = None
    allowed_tools: list[str] | None = None
    headers: dict[str, str] | None = None
    kind: str = "mcp_server"

    @property
    def unique_id(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(kw_only=True)
class FileSearchTool(AbstractNativeTool):
    """Searching files that were put into the provider's stores."""

    file_store_ids: Sequence[str]
    kind: str = "file_search"


@dataclass(kw_only=True)
class ToolSearchTool(AbstractNativeTool):
    """Searching the tools whose loading is deferred, on the provider's side."""

    kind: str = "tool_search"


@dataclass(kw_only=True)
class XSearchTool(AbstractNativeTool):
    """Searching posts on X."""

    allowed_x_handles: list[str] | None = None
    excluded_x_handles: list[str] | None = None
    from_date: datetime | None = None
    to_date: datetime | None = None
    enable_image_understanding: bool = False
    enable_video_understanding: bool = False
    include_output: bool = False
    kind: str = "x_search"


SUPPORTED_NATIVE_TOOLS: Final[frozenset[type[AbstractNativeTool]]] = frozenset(
    {
        WebSearchTool,
        WebFetchTool,
        CodeExecutionTool,
        ImageGenerationTool,
        MemoryTool,
        MCPServerTool,
        FileSearchTool,
        ToolSearchTool,
        XSearchTool,
    }
)
"""The tools that some provider runs."""

NATIVE_TOOL_TYPES: dict[str, type[AbstractNativeTool]] = {tool.kind: tool for tool in SUPPORTED_NATIVE_TOOLS}
"""The same by kind."""

# Older names.
AbstractBuiltinTool = AbstractNativeTool
UrlContextTool = WebFetchTool


NativeToolFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]], AbstractNativeTool | Awaitable[AbstractNativeTool | None] | None
]
"""Chooses a native tool, or none, for each request."""

AgentNativeTool: TypeAlias = AbstractNativeTool | NativeToolFunc[AgentDepsT]
"""A native tool, or a function that chooses one."""
