"""What the model answers: the parts of a response."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import pydantic
from pydantic import AliasChoices, Field
from typing_extensions import deprecated

from app.ai.messages.files import BinaryContent, BinaryImage, NarrowedBinary
from app.ai.messages.otel import otel_events, otel_message_parts
from app.ai.messages.tool_calls import (
    NarrowedNativeToolCallPart,
    NarrowedToolCallPart,
    NativeToolCallPart,
    ToolCallPart,
)
from app.ai.messages.tool_returns import NarrowedNativeToolReturnPart, NativeToolReturnPart
from app.ai.reprs import repr_without_defaults
from app.ai.stamps import now_utc
from app.ai.usage import RequestUsage

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation

FinishReason: TypeAlias = Literal["stop", "length", "content_filter", "tool_call", "error"]
ModelResponseState: TypeAlias = Literal["complete", "incomplete", "interrupted"]


@dataclass(repr=False)
class TextPart:
    """Text of the answer."""

    content: str
    _: KW_ONLY
    id: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_kind: Literal["text"] = "text"

    def has_content(self) -> bool:
        """Whether there is any text."""
        return bool(self.content)

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class ThinkingPart:
    """What the model thought before it answered; `signature` proves to its provider that it is unchanged."""

    content: str
    _: KW_ONLY
    id: str | None = None
    signature: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_kind: Literal["thinking"] = "thinking"

    def has_content(self) -> bool:
        """Whether there is any text."""
        return bool(self.content)

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class CompactionPart:
    """A provider's summary that stands for earlier messages; `content` is None if only the provider can read it."""

    content: str | None = None
    _: KW_ONLY
    id: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_kind: Literal["compaction"] = "compaction"

    def has_content(self) -> bool:
        """Whether there is a readable summary."""
        return bool(self.content)

    __repr__ = repr_without_defaults


@dataclass(repr=False)
class FilePart:
    """A file that the model made."""

    content: NarrowedBinary
    _: KW_ONLY
    id: str | None = None
    provider_name: str | None = None
    provider_details: dict[str, Any] | None = None
    part_kind: Literal["file"] = "file"

    def has_content(self) -> bool:
        """Whether the file has any bytes."""
        return bool(self.content.data)

    __repr__ = repr_without_defaults


ModelResponsePart: TypeAlias = Annotated[
    TextPart
    | NarrowedToolCallPart
    | NarrowedNativeToolCallPart
    | NarrowedNativeToolReturnPart
    | ThinkingPart
    | CompactionPart
    | FilePart,
    pydantic.Discriminator("part_kind"),
]


@dataclass(repr=False)
class ModelResponse:
    """A message from the model."""

    parts: Sequence[ModelResponsePart]
    _: KW_ONLY
    usage: RequestUsage = field(default_factory=RequestUsage)
    model_name: str | None = None
    timestamp: datetime = field(default_factory=now_utc)
    kind: Literal["response"] = "response"
    provider_name: str | None = None
    provider_url: str | None = None
    provider_details: Annotated[
        dict[str, Any] | None, Field(validation_alias=AliasChoices("provider_details", "vendor_details"))
    ] = None
    provider_response_id: Annotated[
        str | None, Field(validation_alias=AliasChoices("provider_response_id", "vendor_id"))
    ] = None
    finish_reason: FinishReason | None = None
    run_id: str | None = None
    conversation_id: str | None = None
    metadata: dict[str, Any] | None = None
    state: ModelResponseState = "complete"

    @property
    def text(self) -> str | None:
        """The text of the answer: neighbouring parts joined, a blank line where something stood between; or None."""
        blocks: list[str] = []
        previous: ModelResponsePart | None = None
        for part in self.parts:
            if isinstance(part, TextPart):
                if isinstance(previous, TextPart):
                    blocks[-1] += part.content
                else:
                    blocks.append(part.content)
            previous = part
        return "\n\n".join(blocks) if blocks else None

    @property
    def thinking(self) -> str | None:
        """The thinking parts with blank lines between, or None."""
        thoughts = [part.content for part in self.parts if isinstance(part, ThinkingPart)]
        return "\n\n".join(thoughts) if thoughts else None

    @property
    def files(self) -> list[BinaryContent]:
        """The files that the model made."""
        return [part.content for part in self.parts if isinstance(part, FilePart)]

    @property
    def images(self) -> list[BinaryImage]:
        """The images among the files."""
        return [file for file in map(BinaryContent.narrow_type, self.files) if isinstance(file, BinaryImage)]

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls of our tools."""
        return [part for part in self.parts if isinstance(part, ToolCallPart)]

    @property
    def native_tool_calls(self) -> list[tuple[NativeToolCallPart, NativeToolReturnPart]]:
        """The finished calls of the provider's own tools, each with its result."""
        calls = {part.tool_call_id: part for part in self.parts if isinstance(part, NativeToolCallPart)}
        return [
            (calls[part.tool_call_id], part)
            for part in self.parts
            if isinstance(part, NativeToolReturnPart) and part.tool_call_id in calls
        ]

    def cost(self) -> PriceCalculation:
        """What the response cost, by the public price table. LookupError if the table does not know the model."""
        from genai_prices import calc_price  # a large table, and few ask

        assert self.model_name, "A response without a model_name has no price."
        price = partial(calc_price, self.usage, self.model_name, genai_request_timestamp=self.timestamp)
        if self.provider_url:
            # An address tells more than a name: one service may stand behind several.
            with suppress(LookupError):
                return price(provider_api_url=self.provider_url)
        return price(provider_id=self.provider_name)

    @deprecated("`price` is deprecated, use `cost`")
    def price(self) -> PriceCalculation:
        """Old name of `cost`."""
        return self.cost()

    @property
    def builtin_tool_calls(self) -> list[tuple[NativeToolCallPart, NativeToolReturnPart]]:
        """Old name of `native_tool_calls`."""
        return self.native_tool_calls

    @property
    @deprecated("`vendor_details` is deprecated, use `provider_details`")
    def vendor_details(self) -> dict[str, Any] | None:
        """Old name of `provider_details`."""
        return self.provider_details

    @property
    @deprecated("`vendor_id` is deprecated, use `provider_response_id`")
    def vendor_id(self) -> str | None:
        """Old name of `provider_response_id`."""
        return self.provider_response_id

    otel_events = otel_events
    otel_message_parts = otel_message_parts
    __repr__ = repr_without_defaults
