"""Tools that providers run themselves; a request offers them in `ModelRequestParameters.native_tools`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
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
    "ImageAspectRatio",
    "ImageGenerationTool",
    "MCPServerTool",
    "MemoryTool",
    "NativeToolFunc",
    "NativeToolSearch",
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
    optional: bool = False
    """Whether models that do not have it do without, instead of refusing the request."""

    @property
    def unique_id(self) -> str:
        """What tells this tool from the others of a request."""
        return self.kind

    @property
    def label(self) -> str:
        """A name for people."""
        return self.kind.replace("_", " ").title()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if cls is not AbstractNativeTool:
            return handler(cls)
        choices = {kind: handler.generate_schema(tool) for kind, tool in NATIVE_TOOL_TYPES.items()}
        return core_schema.tagged_union_schema(choices, discriminator="kind")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        shown = handler(schema)
        if cls is not AbstractNativeTool:
            described = handler.resolve_ref_schema(shown)
            described["properties"]["kind"] = {"const": cls.kind}
            described["required"] = ["kind", *described.get("required", ())]
        return shown


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


ImageAspectRatio: TypeAlias = Literal["21:9", "16:9", "4:3", "3:2", "1:1", "9:16", "3:4", "2:3", "5:4", "4:5"]
"""Width to height."""


@dataclass(kw_only=True)
class ImageGenerationTool(AbstractNativeTool):
    """Making images. What a provider does not know of these it leaves out."""

    background: Literal["transparent", "opaque", "auto"] = "auto"
    input_fidelity: Literal["high", "low"] | None = None
    """How closely images that are given are kept to."""
    moderation: Literal["auto", "low"] = "auto"
    output_compression: int | None = None
    """In percent, for webp and jpeg."""
    output_format: Literal["png", "webp", "jpeg"] | None = None
    partial_images: int = 0
    """How many unfinished images are streamed."""
    quality: Literal["low", "medium", "high", "auto"] = "auto"
    size: Literal["auto", "1024x1024", "1024x1536", "1536x1024", "512", "1K", "2K", "4K"] | None = None
    aspect_ratio: ImageAspectRatio | None = None
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

    @property
    def label(self) -> str:
        return f"MCP: {self.id}"


@dataclass(kw_only=True)
class FileSearchTool(AbstractNativeTool):
    """Searching files that were put into the provider's stores."""

    file_store_ids: Sequence[str]
    kind: str = "file_search"


NativeToolSearch: TypeAlias = Literal["bm25", "regex"]
"""How providers search."""


@dataclass(kw_only=True)
class ToolSearchTool(AbstractNativeTool):
    """Searching the tools whose loading is deferred, on the provider's side."""

    strategy: NativeToolSearch | None = None
    """None for the provider's usual one."""
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
