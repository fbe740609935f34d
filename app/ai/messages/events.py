"""What happens while a response streams in and its tools run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Literal, TypeAlias

import pydantic
from pydantic import AliasChoices, Field
from typing_extensions import deprecated

from app.ai.messages.content import UserContent
from app.ai.messages.deltas import ModelResponsePartDelta
from app.ai.messages.request import RetryPromptPart
from app.ai.messages.response import ModelResponsePart
from app.ai.messages.tool_calls import NarrowedNativeToolCallPart, NarrowedToolCallPart
from app.ai.messages.tool_returns import NarrowedNativeToolReturnPart, NarrowedToolReturnPart, ToolReturnPart
from app.ai.reprs import repr_without_defaults

PartKind: TypeAlias = Literal[
    "text", "thinking", "tool-call", "builtin-tool-call", "builtin-tool-return", "compaction", "file"
]


@dataclass(repr=False, kw_only=True)
class PartStartEvent:
    """A new part began; `part` holds what is known of it so far."""

    index: int
    part: ModelResponsePart
    previous_part_kind: PartKind | None = None
    event_kind: Literal["part_start"] = "part_start"

    __repr__ = repr_without_defaults


@dataclass(repr=False, kw_only=True)
class PartDeltaEvent:
    """A part grew."""

    index: int
    delta: ModelResponsePartDelta
    event_kind: Literal["part_delta"] = "part_delta"

    __repr__ = repr_without_defaults


@dataclass(repr=False, kw_only=True)
class PartEndEvent:
    """A part is complete."""

    index: int
    part: ModelResponsePart
    next_part_kind: PartKind | None = None
    event_kind: Literal["part_end"] = "part_end"

    __repr__ = repr_without_defaults


@dataclass(repr=False, kw_only=True)
class FinalResultEvent:
    """The response has turned out to hold the run's final result; the tool's name and call id if a tool gives it."""

    tool_name: str | None
    tool_call_id: str | None
    event_kind: Literal["final_result"] = "final_result"

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class FunctionToolCallEvent:
    """A function tool is about to be called; `args_valid` is None if nobody checked the arguments."""

    part: NarrowedToolCallPart
    _: KW_ONLY
    args_valid: bool | None = None
    event_kind: Literal["function_tool_call"] = "function_tool_call"

    @property
    def tool_call_id(self) -> str:
        """The id of the call."""
        return self.part.tool_call_id

    @property
    @deprecated("`call_id` is deprecated, use `tool_call_id`")
    def call_id(self) -> str:
        """Old name of `tool_call_id`."""
        return self.tool_call_id

    __repr__ = repr_without_defaults


@dataclass(repr=False, init=False)
class FunctionToolResultEvent:
    """A function tool answered; `content` is what goes to the model as user content besides."""

    part: Annotated[
        Annotated[NarrowedToolReturnPart | RetryPromptPart, pydantic.Discriminator("part_kind")],
        Field(validation_alias=AliasChoices("part", "result")),
    ]
    _: KW_ONLY
    content: str | Sequence[UserContent] | None = None
    event_kind: Literal["function_tool_result"] = "function_tool_result"

    def __init__(
        self,
        part: ToolReturnPart | RetryPromptPart | None = None,
        *,
        result: ToolReturnPart | RetryPromptPart | None = None,
        content: str | Sequence[UserContent] | None = None,
        event_kind: Literal["function_tool_result"] = "function_tool_result",
    ) -> None:
        """`result` is the old name of `part`."""
        given = part or result
        if given is None:
            raise TypeError("A FunctionToolResultEvent needs its `part`.")
        self.part = given
        self.content = content
        self.event_kind = event_kind

    @property
    def tool_call_id(self) -> str:
        """The id of the call."""
        return self.part.tool_call_id

    @property
    def result(self) -> ToolReturnPart | RetryPromptPart:
        """Old name of `part`."""
        return self.part

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class OutputToolCallEvent:
    """An output tool is about to be called; `args_valid` is None if nobody checked the arguments."""

    part: NarrowedToolCallPart
    _: KW_ONLY
    args_valid: bool | None = None
    event_kind: Literal["output_tool_call"] = "output_tool_call"

    @property
    def tool_call_id(self) -> str:
        """The id of the call."""
        return self.part.tool_call_id

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class OutputToolResultEvent:
    """An output tool was accepted, refused or skipped."""

    part: Annotated[NarrowedToolReturnPart | RetryPromptPart, pydantic.Discriminator("part_kind")]
    _: KW_ONLY
    event_kind: Literal["output_tool_result"] = "output_tool_result"

    @property
    def tool_call_id(self) -> str:
        """The id of the call."""
        return self.part.tool_call_id

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class BuiltinToolCallEvent:
    """Deprecated: the provider called one of its own tools. Read `PartStartEvent` instead."""

    part: NarrowedNativeToolCallPart
    _: KW_ONLY
    event_kind: Literal["builtin_tool_call"] = "builtin_tool_call"

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class BuiltinToolResultEvent:
    """Deprecated: one of the provider's own tools answered. Read `PartStartEvent` instead."""

    result: NarrowedNativeToolReturnPart
    _: KW_ONLY
    event_kind: Literal["builtin_tool_result"] = "builtin_tool_result"

    __repr__ = repr_without_defaults


ModelResponseStreamEvent: TypeAlias = Annotated[
    PartStartEvent | PartDeltaEvent | PartEndEvent | FinalResultEvent, pydantic.Discriminator("event_kind")
]
HandleResponseEvent: TypeAlias = Annotated[
    FunctionToolCallEvent
    | FunctionToolResultEvent
    | OutputToolCallEvent
    | OutputToolResultEvent
    | BuiltinToolCallEvent
    | BuiltinToolResultEvent,
    pydantic.Discriminator("event_kind"),
]
AgentStreamEvent: TypeAlias = Annotated[
    ModelResponseStreamEvent | HandleResponseEvent, pydantic.Discriminator("event_kind")
]
