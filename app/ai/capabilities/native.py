"""Tools that providers run themselves, and what stands in for them where a provider does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from pydantic import TypeAdapter, ValidationError

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.exceptions import UserError
from app.ai.messages import BinaryImage
from app.ai.native_tools import (
    NATIVE_TOOL_TYPES,
    AbstractNativeTool,
    AgentNativeTool,
    ImageAspectRatio,
    ImageGenerationTool,
    MCPServerTool,
    WebFetchTool,
    WebSearchTool,
    WebSearchUserLocation,
    XSearchTool,
)
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import Tool
from app.ai.toolsets import AbstractToolset, FunctionToolset, ToolsetTool, WrapperToolset

if TYPE_CHECKING:
    from app.ai.models import KnownModelName, Model

LocalTool = str | bool | Tool[Any] | Callable[..., Any] | AbstractToolset[Any] | None


@dataclass
class NativeTool(AbstractCapability[AgentDepsT]):
    """Lets the model use one tool of its provider's."""

    tool: AgentNativeTool[AgentDepsT]

    @classmethod
    def from_spec(cls, tool: AbstractNativeTool | None = None, **options: Any) -> NativeTool[Any]:
        """`{kind: web_search, …}`, or the same under `tool`, beside `id`, `description` and `defer_loading`."""
        return cls(_native_tool(options)) if tool is None else cls(_native_tool(tool), **options)

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        return [self.tool]


def _native_tool(data: Any) -> AbstractNativeTool:
    """The tool that data of a spec describes."""
    if isinstance(data, AbstractNativeTool):
        return data
    kind = NATIVE_TOOL_TYPES.get(data.get("kind", ""))
    if kind is None:
        raise UserError(
            f"A native tool has a `kind`: {', '.join(sorted(NATIVE_TOOL_TYPES))}; there is none in {data!r}"
        )
    if unknown := sorted(data.keys() - {item.name for item in fields(kind)}):
        raise UserError(f"The native tool {data['kind']!r} has no option {', '.join(map(repr, unknown))}")
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as err:
        raise UserError(f"The native tool {data!r} is wrong: {err.errors(include_url=False)[0]['msg']}") from err


@dataclass
class StandInToolset(WrapperToolset[AgentDepsT]):
    """The same tools, for models that do not have the native tool with this id."""

    native_id: str

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        return {
            name: replace(tool, tool_def=replace(tool.tool_def, unless_native=self.native_id))
            for name, tool in tools.items()
        }


@dataclass(kw_only=True)
class NativeOrLocalTool(AbstractCapability[AgentDepsT]):
    """A tool of the provider's, or a tool of ours for models whose provider does not have it.

    `native` is the tool, True for the usual one, a function that chooses one for each request, or False for none.
    `local` is a function, a tool or a toolset; False for none. Raises `UserError` if there is neither.
    """

    native: AgentNativeTool[AgentDepsT] | bool = True
    local: LocalTool = None

    _only_native: ClassVar[Sequence[str]] = ()
    """The options that the local tool knows nothing of: with one of them there is no local tool."""

    def __post_init__(self) -> None:
        super().__post_init__()
        name = type(self).__name__
        given: Any = self.native
        if isinstance(given, Mapping):
            self.native = _native_tool(given)  # as agent specs describe it
            usual = self._default_native()
            if usual is not None and usual.kind != self.native.kind:
                raise UserError(f"The native tool of {name} is a {usual.kind!r}, not {self.native.kind!r}")
        if self.native is True and self._default_native() is None:
            raise UserError(f"{name} has no usual native tool; give `native`")
        if isinstance(self.local, str | bool) and self.local is not False:
            self.local = self._named_local(self.local)
        elif self.local is None:
            self.local = self._default_local()
        if self.native is False and (bound := self._bound()):
            raise UserError(f"{name}(native=False) cannot keep to {', '.join(bound)}, which only a native tool can do")
        if self.native is False and self.local in (None, False):
            raise UserError(f"{name} has neither a native nor a local tool; give one of them")

    def _default_native(self) -> AbstractNativeTool | None:
        """The usual native tool."""
        return None

    def _default_local(self) -> LocalTool:
        """The local tool that is there without being asked for."""
        return None

    def _named_local(self, name: str | bool) -> LocalTool:
        """The local tool of that name, True for the usual one."""
        found = self._default_local() if name is True else None
        if found is None:
            raise UserError(f"{type(self).__name__} has no local tool {name!r} here; give a function, tool or toolset")
        return found

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        tool = self._default_native() if self.native is True else self.native
        return [] if tool is False or tool is None else [tool]  # pyright: ignore[reportReturnType] - True became a tool

    def get_toolset(self) -> AbstractToolset[AgentDepsT] | None:
        local: Any = self.local
        if local in (None, False) or self._bound():
            return None
        toolset = cast(
            "AbstractToolset[AgentDepsT]", local if isinstance(local, AbstractToolset) else FunctionToolset([local])
        )
        tool_id = self._native_id()
        return toolset if tool_id is None else StandInToolset(toolset, tool_id)

    def _native_id(self) -> str | None:
        if self.native is False:
            return None
        usual = self._default_native() if not isinstance(self.native, AbstractNativeTool) else self.native
        return usual.unique_id if usual else None

    def _bound(self) -> list[str]:
        return [name for name in self._only_native if getattr(self, name) is not None]

    def _options_of(self, tool: type[AbstractNativeTool]) -> dict[str, Any]:
        """The options for the native tool that are given."""
        own = {item.name for item in fields(self)}
        given = {item.name: getattr(self, item.name) for item in fields(tool) if item.name in own}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(kw_only=True)
class WebSearch(NativeOrLocalTool[AgentDepsT]):
    """Lets the model search the web."""

    search_context_size: Literal["low", "medium", "high"] | None = None
    user_location: WebSearchUserLocation | None = None
    blocked_domains: list[str] | None = None
    allowed_domains: list[str] | None = None
    max_uses: int | None = None

    _only_native = ("blocked_domains", "allowed_domains", "max_uses")

    def _default_native(self) -> WebSearchTool:
        return WebSearchTool(**self._options_of(WebSearchTool))


@dataclass(kw_only=True)
class WebFetch(NativeOrLocalTool[AgentDepsT]):
    """Lets the model read pages of the web."""

    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    max_uses: int | None = None
    enable_citations: bool | None = None
    max_content_tokens: int | None = None

    _only_native = ("allowed_domains", "blocked_domains", "max_uses")

    def _default_native(self) -> WebFetchTool:
        return WebFetchTool(**self._options_of(WebFetchTool))


@dataclass(kw_only=True)
class ImageGeneration(NativeOrLocalTool[AgentDepsT]):
    """Lets the model make images; for models that cannot, `fallback_model` makes them."""

    fallback_model: Model | KnownModelName | str | None = None
    background: Literal["transparent", "opaque", "auto"] | None = None
    input_fidelity: Literal["high", "low"] | None = None
    moderation: Literal["auto", "low"] | None = None
    output_compression: int | None = None
    output_format: Literal["png", "webp", "jpeg"] | None = None
    quality: Literal["low", "medium", "high", "auto"] | None = None
    size: Literal["auto", "1024x1024", "1024x1536", "1536x1024", "512", "1K", "2K", "4K"] | None = None
    aspect_ratio: ImageAspectRatio | None = None

    def __post_init__(self) -> None:
        _only_one_local(self, self.fallback_model)
        super().__post_init__()

    def _default_native(self) -> ImageGenerationTool:
        return ImageGenerationTool(**self._options_of(ImageGenerationTool))

    def _default_local(self) -> LocalTool:
        model, tool = self.fallback_model, self._default_native()
        if model is None:
            return None

        async def generate_image(prompt: str) -> BinaryImage:
            """Make an image.

            Args:
                prompt: What the image shall show.
            """
            from app.ai.agent import Agent  # has capabilities itself

            painter = Agent(model, output_type=BinaryImage, capabilities=[NativeTool(tool)])
            return (await painter.run(prompt)).output

        return generate_image


@dataclass(kw_only=True)
class XSearch(NativeOrLocalTool[AgentDepsT]):
    """Lets the model search posts on X; for models that cannot, `fallback_model` searches."""

    fallback_model: Model | KnownModelName | str | None = None
    allowed_x_handles: list[str] | None = None
    excluded_x_handles: list[str] | None = None
    from_date: datetime | None = None
    to_date: datetime | None = None
    enable_image_understanding: bool | None = None
    enable_video_understanding: bool | None = None
    include_output: bool | None = None

    def __post_init__(self) -> None:
        _only_one_local(self, self.fallback_model)
        super().__post_init__()

    def _default_native(self) -> XSearchTool:
        return XSearchTool(**self._options_of(XSearchTool))

    def _default_local(self) -> LocalTool:
        model, tool = self.fallback_model, self._default_native()
        if model is None:
            return None

        async def x_search(query: str) -> str:
            """Search posts on X.

            Args:
                query: What to search for.
            """
            from app.ai.agent import Agent  # has capabilities itself

            return (await Agent(model, capabilities=[NativeTool(tool)]).run(query)).output

        return x_search


def _only_one_local(capability: NativeOrLocalTool[Any], fallback_model: Any) -> None:
    if fallback_model is not None and capability.local is not None:
        raise UserError(f"{type(capability).__name__} takes `local` or `fallback_model`, not both")


@dataclass
class MCP(NativeOrLocalTool[AgentDepsT]):
    """Lets the model use an MCP server: by its provider, or over a connection of ours.

    `id` is the server's name in the conversation, made of the address if it is not given.
    """

    url: str
    native: AgentNativeTool[AgentDepsT] | bool = field(default=True, kw_only=True)
    local: LocalTool = field(default=None, kw_only=True)
    authorization_token: str | None = field(default=None, kw_only=True)
    headers: dict[str, str] | None = field(default=None, kw_only=True)
    allowed_tools: list[str] | None = field(default=None, kw_only=True)

    def _default_native(self) -> MCPServerTool:
        options: dict[str, Any] = {**self._options_of(MCPServerTool), "id": self.server_id}
        options["description"] = None if self.description is None else str(self.description)
        return MCPServerTool(**options)

    @property
    def server_id(self) -> str:
        """The server's name in the conversation."""
        if self.id is not None:
            return self.id
        host, *path = self.url.removesuffix("/").partition("://")[2].split("/")
        return "-".join([host, *([path[-1]] if path else [])])

    def _default_local(self) -> LocalTool:
        from app.ai.mcp import MCPServerSSE, MCPServerStreamableHTTP  # brings the MCP client

        headers = dict(self.headers or {})
        if self.authorization_token is not None:
            headers.setdefault("Authorization", self.authorization_token)
        kind = MCPServerSSE if self.url.rstrip("/").endswith("/sse") else MCPServerStreamableHTTP
        server: AbstractToolset[Any] = kind(self.url, headers=headers or None, id=self.server_id)
        allowed = self.allowed_tools
        return server if allowed is None else server.filtered(lambda ctx, tool_def: tool_def.name in allowed)
