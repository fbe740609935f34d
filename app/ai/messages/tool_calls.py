"""Calls of tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Annotated, Any, Literal, TypeAlias, cast

import pydantic_core
from pydantic import AfterValidator
from typing_extensions import TypedDict

from app.ai.messages.tool_returns import ToolPartKind, equal_to_plain
from app.ai.reprs import repr_without_defaults
from app.ai.stamps import generate_tool_call_id

INVALID_JSON_KEY = "INVALID_JSON"
"""The key under which arguments that are no JSON object stand in `args_as_dict`."""


@dataclass(repr=False)
class BaseToolCallPart:
    """A call of a tool, whoever runs it. `args` stay as received: a JSON string or an object."""

    tool_name: str
    args: str | dict[str, Any] | None = None
    tool_call_id: str = field(default_factory=generate_tool_call_id)
    _: KW_ONLY
    tool_kind: ToolPartKind | None = None
    id: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None

    def args_as_dict(self, *, raise_if_invalid: bool = False) -> dict[str, Any]:
        """The arguments as an object.

        What is no JSON object stands under `INVALID_JSON`, or raises ValueError if asked to.
        """
        if not self.args:
            return {}
        if isinstance(self.args, dict):
            return self.args
        try:
            args = pydantic_core.from_json(self.args)
            if not isinstance(args, dict):
                raise ValueError("The arguments of a tool call must be a JSON object.")
            return cast("dict[str, Any]", args)
        except ValueError:
            if raise_if_invalid:
                raise
            return {INVALID_JSON_KEY: self.args}

    def args_as_json_str(self) -> str:
        """The arguments as a JSON string, `{}` if there are none."""
        if not self.args:
            return "{}"
        return self.args if isinstance(self.args, str) else pydantic_core.to_json(self.args).decode()

    def has_content(self) -> bool:
        """Whether any argument has a value."""
        return any(self.args.values()) if isinstance(self.args, dict) else bool(self.args)

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class ToolCallPart(BaseToolCallPart):
    """A call of one of our tools."""

    _: KW_ONLY
    part_kind: Literal["tool-call"] = "tool-call"

    @staticmethod
    def narrow_type(part: ToolCallPart) -> ToolCallPart:
        """The same call as the class that its `tool_kind` stands for."""
        typed = _TYPED_CALLS.get(part.tool_kind)
        return part if typed is None or isinstance(part, typed) else typed(**vars(part))


@dataclass(repr=False)
class NativeToolCallPart(BaseToolCallPart):
    """A call of a tool that the provider itself runs."""

    _: KW_ONLY
    part_kind: Literal["builtin-tool-call"] = "builtin-tool-call"

    @staticmethod
    def narrow_type(part: NativeToolCallPart) -> NativeToolCallPart:
        """The same call as the class that its `tool_kind` stands for."""
        plain = part.tool_kind != "tool-search" or isinstance(part, NativeToolSearchCallPart)
        return part if plain else NativeToolSearchCallPart(**vars(part))


BuiltinToolCallPart = NativeToolCallPart


class ToolSearchArgs(TypedDict):
    """What a search for tools looks for."""

    queries: list[str]


class LoadCapabilityArgs(TypedDict):
    """Which capability is to be loaded."""

    id: str


@dataclass(repr=False, eq=False)
class ToolSearchCallPart(ToolCallPart):
    """A search for tools whose loading is deferred; `args` are `ToolSearchArgs`."""

    tool_name: str = "search_tools"
    _: KW_ONLY
    tool_kind: Literal["tool-search"] = "tool-search"  # pyright: ignore[reportIncompatibleVariableOverride]

    __eq__ = equal_to_plain


@dataclass(repr=False, eq=False)
class LoadCapabilityCallPart(ToolCallPart):
    """A call that loads a capability; `args` are `LoadCapabilityArgs`."""

    tool_name: str = "load_capability"
    _: KW_ONLY
    tool_kind: Literal["capability-load"] = "capability-load"  # pyright: ignore[reportIncompatibleVariableOverride]

    __eq__ = equal_to_plain


@dataclass(repr=False, eq=False)
class NativeToolSearchCallPart(NativeToolCallPart):
    """A search for tools that the provider itself makes."""

    tool_name: str = "tool_search"
    _: KW_ONLY
    tool_kind: Literal["tool-search"] = "tool-search"  # pyright: ignore[reportIncompatibleVariableOverride]

    __eq__ = equal_to_plain


_TYPED_CALLS: Mapping[str | None, type[ToolCallPart]] = {
    "tool-search": ToolSearchCallPart,
    "capability-load": LoadCapabilityCallPart,
}

NarrowedToolCallPart: TypeAlias = Annotated[ToolCallPart, AfterValidator(ToolCallPart.narrow_type)]
NarrowedNativeToolCallPart: TypeAlias = Annotated[NativeToolCallPart, AfterValidator(NativeToolCallPart.narrow_type)]
