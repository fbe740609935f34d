"""What a part grows by while its response streams in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Annotated, Any, Literal, TypeAlias, overload

import pydantic

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages.response import ModelResponsePart, TextPart, ThinkingPart
from app.ai.messages.tool_calls import NativeToolCallPart, ToolCallPart
from app.ai.reprs import repr_without_defaults
from app.ai.stamps import generate_tool_call_id

ProviderDetailsDelta: TypeAlias = dict[str, Any] | Callable[[dict[str, Any] | None], dict[str, Any]] | None
"""Details to merge into those of the part, or a function from the old details to the new."""


def _merge_details(details: dict[str, Any] | None, delta: ProviderDetailsDelta) -> dict[str, Any] | None:
    if callable(delta):
        return delta(details)
    return {**(details or {}), **delta} if delta else details


@dataclass(repr=False)
class TextPartDelta:
    """More text for a text part."""

    content_delta: str
    _: KW_ONLY
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_delta_kind: Literal["text"] = "text"

    def apply(self, part: ModelResponsePart) -> TextPart:
        """The part with the delta applied; ValueError if it is no text part."""
        if not isinstance(part, TextPart):
            raise ValueError(f"A text delta does not apply to {part!r}.")
        return replace(
            part,
            content=part.content + self.content_delta,
            provider_name=self.provider_name or part.provider_name,
            provider_details=_merge_details(part.provider_details, self.provider_details),
        )

    __repr__ = repr_without_defaults


@dataclass(repr=False, kw_only=True)
class ThinkingPartDelta:
    """More thinking, or its signature, for a thinking part."""

    content_delta: str | None = None
    signature_delta: str | None = None
    provider_name: str | None = None
    provider_details: Annotated[
        ProviderDetailsDelta,
        pydantic.SkipValidation,
        pydantic.PlainSerializer(lambda details: None if callable(details) else details, dict[str, Any] | None),
    ] = None
    part_delta_kind: Literal["thinking"] = "thinking"

    @overload
    def apply(self, part: ModelResponsePart) -> ThinkingPart: ...
    @overload
    def apply(self, part: ThinkingPartDelta) -> ThinkingPartDelta: ...
    @overload
    def apply(self, part: ModelResponsePart | ThinkingPartDelta) -> ThinkingPart | ThinkingPartDelta: ...

    def apply(self, part: ModelResponsePart | ThinkingPartDelta) -> ThinkingPart | ThinkingPartDelta:
        """The part, or an earlier delta, with this delta applied; ValueError if either is no thinking."""
        if isinstance(part, ThinkingPart):
            return replace(
                part,
                content=part.content + (self.content_delta or ""),
                signature=self.signature_delta or part.signature,
                provider_name=self.provider_name or part.provider_name,
                provider_details=_merge_details(part.provider_details, self.provider_details),
            )
        if isinstance(part, ThinkingPartDelta):
            if self == ThinkingPartDelta():
                raise ValueError("An empty thinking delta does not apply to another.")
            return replace(
                part,
                content_delta=_concatenated(part.content_delta, self.content_delta),
                signature_delta=self.signature_delta or part.signature_delta,
                provider_name=self.provider_name or part.provider_name,
                provider_details=_chain_details(part.provider_details, self.provider_details),
            )
        raise ValueError(f"A thinking delta does not apply to {part!r}.")

    __repr__ = repr_without_defaults


def _chain_details(first: ProviderDetailsDelta, second: ProviderDetailsDelta) -> ProviderDetailsDelta:
    if not callable(first) and not callable(second):
        return _merge_details(first, second)
    return lambda details: _merge_details(_merge_details(details, first), second) or {}


@dataclass(repr=False, kw_only=True)
class ToolCallPartDelta:
    """More of a tool call. `args_delta` is a piece of JSON text, or an object to merge; never both in one call."""

    tool_name_delta: str | None = None
    args_delta: str | dict[str, Any] | None = None
    tool_call_id: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_delta_kind: Literal["tool_call"] = "tool_call"

    def as_part(self) -> ToolCallPart | None:
        """The delta as the start of a tool call, or None while its name is not known."""
        if self.tool_name_delta is None:
            return None
        return ToolCallPart(
            self.tool_name_delta,
            self.args_delta,
            self.tool_call_id or generate_tool_call_id(),
            provider_name=self.provider_name,
            provider_details=self.provider_details,
        )

    @overload
    def apply(self, part: ModelResponsePart) -> ToolCallPart | NativeToolCallPart: ...
    @overload
    def apply(self, part: ToolCallPartDelta) -> ToolCallPart | NativeToolCallPart | ToolCallPartDelta: ...
    @overload
    def apply(
        self, part: ModelResponsePart | ToolCallPartDelta
    ) -> ToolCallPart | NativeToolCallPart | ToolCallPartDelta: ...

    def apply(
        self, part: ModelResponsePart | ToolCallPartDelta
    ) -> ToolCallPart | NativeToolCallPart | ToolCallPartDelta:
        """The call with this delta applied; an earlier delta becomes a call as soon as the name is known.

        ValueError if it is no tool call, UnexpectedModelBehavior if text and object arguments are mixed.
        """
        if isinstance(part, ToolCallPart | NativeToolCallPart):
            return replace(
                part,
                tool_name=part.tool_name + (self.tool_name_delta or ""),
                args=_merge_args(part.args, self.args_delta),
                tool_call_id=self.tool_call_id or part.tool_call_id,
                provider_name=self.provider_name or part.provider_name,
                provider_details=_merge_details(part.provider_details, self.provider_details),
            )
        if isinstance(part, ToolCallPartDelta):
            merged = replace(
                part,
                tool_name_delta=_concatenated(part.tool_name_delta, self.tool_name_delta),
                args_delta=_merge_args(part.args_delta, self.args_delta),
                tool_call_id=self.tool_call_id or part.tool_call_id,
                provider_name=self.provider_name or part.provider_name,
                provider_details=_merge_details(part.provider_details, self.provider_details),
            )
            return merged.as_part() or merged
        raise ValueError(f"A tool call delta does not apply to {part!r}.")

    __repr__ = repr_without_defaults


def _concatenated(first: str | None, second: str | None) -> str | None:
    return first if second is None else (first or "") + second


def _merge_args(args: str | dict[str, Any] | None, delta: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    if args is None or delta is None:
        return delta if args is None else args
    if isinstance(args, str) and isinstance(delta, str):
        return args + delta
    if isinstance(args, dict) and isinstance(delta, dict):
        return {**args, **delta}
    raise UnexpectedModelBehavior(f"Tool call arguments mix text and objects: {args!r} and then {delta!r}")


ModelResponsePartDelta: TypeAlias = Annotated[
    TextPartDelta | ThinkingPartDelta | ToolCallPartDelta, pydantic.Discriminator("part_delta_kind")
]
