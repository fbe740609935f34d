"""What tools answered: the parts that hold their results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired, TypeAlias, cast

import pydantic
from pydantic import AfterValidator
from typing_extensions import TypedDict

from app.ai.messages.content import MultiModalContent, ToolReturnContent, UserContent, is_multi_modal_content
from app.ai.messages.otel import otel_event, otel_message_parts
from app.ai.reprs import repr_without_defaults
from app.ai.stamps import generate_tool_call_id, now_utc

ToolOutcome: TypeAlias = Literal["success", "failed", "denied"]
ToolPartKind: TypeAlias = Literal["tool-search", "capability-load"]

_any_json = pydantic.TypeAdapter[Any](Any, config=pydantic.ConfigDict(ser_json_bytes="base64"))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _any_json.dump_json(value).decode()


def _as_jsonable(value: Any) -> Any:
    return _any_json.dump_python(value, mode="json")


@dataclass(repr=False)
class BaseToolReturnPart:
    """A tool's result, whoever ran the tool."""

    tool_name: str
    content: ToolReturnContent
    tool_call_id: str = field(default_factory=generate_tool_call_id)
    _: KW_ONLY
    tool_kind: ToolPartKind | None = None
    metadata: Any = None
    timestamp: datetime = field(default_factory=now_utc)
    outcome: ToolOutcome = "success"

    @property
    def files(self) -> list[MultiModalContent]:
        """The files that are the content or stand in it as list items."""
        return [item for item in self._items() if is_multi_modal_content(item)]

    def content_items(self, *, mode: Literal["raw", "str", "jsonable"] = "raw") -> list[Any]:
        """The content as a list: as it is, or all but the files as text for the model or as JSON values."""
        items = self._items()
        if mode == "raw":
            return items
        convert = _as_text if mode == "str" else _as_jsonable
        return [item if is_multi_modal_content(item) else convert(item) for item in items]

    def model_response_str(self) -> str:
        """The content as text for the model: strings as they are, None as nothing, else JSON; files as references."""
        return _as_text(self._content_with_references())

    def model_response_object(self) -> dict[str, Any]:
        """The content as a JSON object for the model; what is not an object stands under `return_value`."""
        content = _as_jsonable(self._content_with_references())
        return cast("dict[str, Any]", content) if isinstance(content, dict) else {"return_value": content}

    def model_response_str_and_user_content(self) -> tuple[str, list[UserContent]]:
        """The text for the model, and the files it refers to as user content to send after all tool parts."""
        user_content: list[UserContent] = []
        for file in self.files:
            user_content += [f"File {file.identifier}:", file]
        return self.model_response_str(), user_content

    def has_content(self) -> bool:
        """Whether there is any content."""
        return self.content is not None and self.content != ""

    def _items(self) -> list[Any]:
        content: Any = self.content
        return cast("list[Any]", content) if isinstance(content, list) else [content]

    def _content_with_references(self) -> Any:
        shown = [f"See file {item.identifier}." if is_multi_modal_content(item) else item for item in self._items()]
        return shown if isinstance(self.content, list) else shown[0]

    otel_event = otel_event
    otel_message_parts = otel_message_parts
    __repr__ = repr_without_defaults


@dataclass(repr=False)
class ToolReturnPart(BaseToolReturnPart):
    """A tool's result. `metadata` is for the application and never sent to the model."""

    _: KW_ONLY
    part_kind: Literal["tool-return"] = "tool-return"

    @staticmethod
    def narrow_type(part: ToolReturnPart) -> ToolReturnPart:
        """The same result as the class that its `tool_kind` stands for."""
        typed = _TYPED_RETURNS.get(part.tool_kind)
        return part if typed is None or isinstance(part, typed) else typed(**vars(part))


@dataclass(repr=False)
class NativeToolReturnPart(BaseToolReturnPart):
    """The result of a tool that the provider itself ran."""

    _: KW_ONLY
    id: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_kind: Literal["builtin-tool-return"] = "builtin-tool-return"

    @staticmethod
    def narrow_type(part: NativeToolReturnPart) -> NativeToolReturnPart:
        """The same result as the class that its `tool_kind` stands for."""
        plain = part.tool_kind != "tool-search" or isinstance(part, NativeToolSearchReturnPart)
        return part if plain else NativeToolSearchReturnPart(**vars(part))


BuiltinToolReturnPart = NativeToolReturnPart


class ToolSearchMatch(TypedDict):
    """A tool that was found."""

    name: str
    description: NotRequired[str | None]


class ToolSearchReturnContent(TypedDict):
    """What a search for tools found; `message` is for the model."""

    discovered_tools: list[ToolSearchMatch]
    message: NotRequired[str | None]


class LoadCapabilityReturnContent(TypedDict):
    """What a loaded capability tells the model."""

    instructions: NotRequired[str | None]


def equal_to_plain(self: Any, other: object) -> bool:
    """Compare a part that has its own class: histories from before it had one hold the same as a plain part."""
    if type(other) not in (type(self), type(self).__base__):
        return NotImplemented
    return {**vars(self), "tool_kind": None} == {**vars(other), "tool_kind": None}


@dataclass(repr=False, eq=False)
class ToolSearchReturnPart(ToolReturnPart):
    """What a search for tools found; `content` is a `ToolSearchReturnContent`."""

    tool_name: str = "search_tools"
    content: ToolReturnContent = None
    _: KW_ONLY
    tool_kind: Literal["tool-search"] = "tool-search"  # pyright: ignore[reportIncompatibleVariableOverride]

    __eq__ = equal_to_plain


@dataclass(repr=False, eq=False)
class LoadCapabilityReturnPart(ToolReturnPart):
    """The answer to a call that loads a capability; `content` is a `LoadCapabilityReturnContent`."""

    tool_name: str = "load_capability"
    content: ToolReturnContent = None
    _: KW_ONLY
    tool_kind: Literal["capability-load"] = "capability-load"  # pyright: ignore[reportIncompatibleVariableOverride]

    __eq__ = equal_to_plain


@dataclass(repr=False, eq=False)
class NativeToolSearchReturnPart(NativeToolReturnPart):
    """What a provider's own search for tools found; `content` is a `ToolSearchReturnContent`."""

    tool_name: str = "tool_search"
    content: ToolReturnContent = None
    _: KW_ONLY
    tool_kind: Literal["tool-search"] = "tool-search"  # pyright: ignore[reportIncompatibleVariableOverride]

    __eq__ = equal_to_plain


_TYPED_RETURNS: Mapping[str | None, type[ToolReturnPart]] = {
    "tool-search": ToolSearchReturnPart,
    "capability-load": LoadCapabilityReturnPart,
}

NarrowedToolReturnPart: TypeAlias = Annotated[ToolReturnPart, AfterValidator(ToolReturnPart.narrow_type)]
NarrowedNativeToolReturnPart: TypeAlias = Annotated[
    NativeToolReturnPart, AfterValidator(NativeToolReturnPart.narrow_type)
]
