"""Assembling a response's parts from the deltas of a stream."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from io import SEEK_END, StringIO
from typing import Any

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import (
    ModelResponsePart,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    PartDeltaEvent,
    PartStartEvent,
    ProviderDetailsDelta,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from app.ai.stamps import generate_tool_call_id
from app.ai.thinking_tags import TextPiece, ThinkingTagSplitter

__all__ = ("ModelResponsePartsManager",)


class ModelResponsePartsManager:
    """Builds the parts of one response from deltas and tells what changed as events.

    `vendor_part_id` is what the provider calls a part. Without one a delta belongs to the newest part if that is of
    its kind, else it starts a new part. A tool call starts only once its name is known; earlier pieces are held.
    """

    def __init__(self) -> None:
        self._parts: list[ModelResponsePart] = []
        # Text is joined when somebody looks: adding each piece at once copies a long answer thousands of times.
        self._unjoined: dict[int, StringIO] = {}
        self._index_of: dict[Hashable, int] = {}
        self._nameless_calls: dict[Hashable, ToolCallPartDelta] = {}
        self._splitter: ThinkingTagSplitter | None = None
        self._tagged: dict[str, Any] = {}

    def get_parts(self) -> list[ModelResponsePart]:
        """The parts as they are by now."""
        for index in [*self._unjoined]:
            self._join(index)
        return list(self._parts)

    def handle_text_delta(
        self,
        *,
        vendor_part_id: Hashable | None,
        content: str,
        id: str | None = None,
        provider_name: str | None = None,
        provider_details: dict[str, Any] | None = None,
        thinking_tags: tuple[str, str] | None = None,
        ignore_leading_whitespace: bool = False,
    ) -> list[ModelResponseStreamEvent]:
        """Take text in. With `thinking_tags`, thinking in it becomes a part of its own, with the `id` and name."""
        if thinking_tags:
            self._splitter = self._splitter or ThinkingTagSplitter(thinking_tags)
            self._tagged = {"id": id, "provider_name": provider_name}
            return self._handle_pieces(self._splitter.feed(content), ignore_leading_whitespace)
        index = self._find(vendor_part_id, TextPart)
        if index is None:
            if ignore_leading_whitespace and not content.strip():
                return []
            part = TextPart(content, id=id, provider_name=provider_name, provider_details=provider_details)
            return self._start(vendor_part_id, part)
        delta = TextPartDelta(content, provider_name=provider_name, provider_details=provider_details)
        if provider_details or provider_name not in (None, self._parts[index].provider_name):
            self._parts[index] = delta.apply(self._join(index))
        else:
            self._join_later(index, content)
        return [PartDeltaEvent(index=index, delta=delta)]

    def handle_thinking_delta(
        self,
        *,
        vendor_part_id: Hashable | None,
        content: str | None = None,
        signature: str | None = None,
        id: str | None = None,
        provider_name: str | None = None,
        provider_details: ProviderDetailsDelta = None,
    ) -> list[ModelResponseStreamEvent]:
        """Take thinking, or the signature that closes it, in."""
        index = self._find(vendor_part_id, ThinkingPart)
        if index is None:
            details = provider_details(None) if callable(provider_details) else provider_details
            part = ThinkingPart(
                content or "", id=id, signature=signature, provider_name=provider_name, provider_details=details
            )
            return self._start(vendor_part_id, part)
        delta = ThinkingPartDelta(
            content_delta=content,
            signature_delta=signature,
            provider_name=provider_name,
            provider_details=provider_details,
        )
        if signature or provider_details or provider_name not in (None, self._parts[index].provider_name):
            self._parts[index] = delta.apply(self._join(index))
        else:
            self._join_later(index, content or "")
        return [PartDeltaEvent(index=index, delta=delta)]

    def handle_tool_call_delta(
        self,
        *,
        vendor_part_id: Hashable | None,
        tool_name: str | None = None,
        args: str | dict[str, Any] | None = None,
        tool_call_id: str | None = None,
        provider_name: str | None = None,
        provider_details: dict[str, Any] | None = None,
    ) -> list[ModelResponseStreamEvent]:
        """Take a piece of a tool call in. A name without a `vendor_part_id` starts a new call."""
        delta = ToolCallPartDelta(
            tool_name_delta=tool_name,
            args_delta=args,
            tool_call_id=tool_call_id,
            provider_name=provider_name,
            provider_details=provider_details,
        )
        starts_anew = vendor_part_id is None and tool_name is not None
        index = None if starts_anew else self._find(vendor_part_id, ToolCallPart)
        if index is None:
            return self._start_call(vendor_part_id, delta)
        part = self._parts[index]
        assert isinstance(part, ToolCallPart | NativeToolCallPart)
        news = tool_name or provider_details or tool_call_id not in (None, part.tool_call_id)
        if isinstance(args, str) and not (news or provider_name or isinstance(part.args, dict)):
            self._join_later(index, args)
        else:
            self._parts[index] = part = delta.apply(self._join(index))
        delta.tool_call_id = part.tool_call_id
        return [PartDeltaEvent(index=index, delta=delta)]

    def handle_tool_call_part(
        self,
        *,
        vendor_part_id: Hashable | None,
        tool_name: str,
        args: str | dict[str, Any] | None,
        tool_call_id: str | None = None,
        provider_name: str | None = None,
        provider_details: dict[str, Any] | None = None,
    ) -> list[ModelResponseStreamEvent]:
        """Take a whole tool call in."""
        part = ToolCallPart(
            tool_name,
            args,
            tool_call_id or generate_tool_call_id(),
            provider_name=provider_name,
            provider_details=provider_details,
        )
        return self.handle_part(vendor_part_id=vendor_part_id, part=part)

    def handle_part(
        self, *, vendor_part_id: Hashable | None, part: ModelResponsePart
    ) -> list[ModelResponseStreamEvent]:
        """Take a whole part in; it replaces an earlier one with the same `vendor_part_id`."""
        index = None if vendor_part_id is None else self._index_of.get(vendor_part_id)
        if index is None:
            return self._start(vendor_part_id, part)
        self._unjoined.pop(index, None)
        self._parts[index] = part
        return [PartStartEvent(index=index, part=part)]

    def finish(self) -> list[ModelResponseStreamEvent]:
        """Take the end of the stream: release what was held back.

        UnexpectedModelBehavior if a tool call never got a name.
        """
        events = self._handle_pieces(self._splitter.finish(), False) if self._splitter else []
        if self._nameless_calls:
            raise UnexpectedModelBehavior("The model's stream ended with a tool call that has no name")
        return events

    def _handle_pieces(self, pieces: list[TextPiece], ignore_blank: bool) -> list[ModelResponseStreamEvent]:
        events: list[ModelResponseStreamEvent] = []
        for kind, content in pieces:
            if kind == "thinking":
                origin = self._tagged if self._find(None, ThinkingPart) is None else {}
                events += self.handle_thinking_delta(vendor_part_id=None, content=content, **origin)
            else:
                events += self.handle_text_delta(
                    vendor_part_id=None, content=content, ignore_leading_whitespace=ignore_blank
                )
        return events

    def _join(self, index: int) -> ModelResponsePart:
        part, pieces = self._parts[index], self._unjoined.pop(index, None)
        if pieces is None:
            return part
        if isinstance(part, TextPart | ThinkingPart):
            part = replace(part, content=part.content + pieces.getvalue())
        elif isinstance(part, ToolCallPart | NativeToolCallPart):
            part = replace(part, args=f"{part.args or ''}{pieces.getvalue()}")
        self._parts[index] = part
        return part

    def _join_later(self, index: int, piece: str) -> None:
        if pieces := self._unjoined.get(index):
            pieces.write(piece)
        elif piece:
            # Only one that begins with some text is a buffer; an empty one would keep every piece as an object.
            self._unjoined[index] = StringIO(piece, newline="")
            self._unjoined[index].seek(0, SEEK_END)

    def _find(self, vendor_part_id: Hashable | None, kind: type[ModelResponsePart]) -> int | None:
        if vendor_part_id is None:
            return len(self._parts) - 1 if self._parts and isinstance(self._parts[-1], kind) else None
        index = self._index_of.get(vendor_part_id)
        accepted = (ToolCallPart, NativeToolCallPart) if kind is ToolCallPart else (kind,)
        if index is not None and not isinstance(self._parts[index], accepted):
            kind_before = self._parts[index].part_kind
            raise UnexpectedModelBehavior(
                f"The model's stream turns part {vendor_part_id!r} from {kind_before} into another kind"
            )
        return index

    def _start(self, vendor_part_id: Hashable | None, part: ModelResponsePart) -> list[ModelResponseStreamEvent]:
        self._parts.append(part)
        index = len(self._parts) - 1
        if vendor_part_id is not None:
            self._index_of[vendor_part_id] = index
        return [PartStartEvent(index=index, part=part)]

    def _start_call(self, vendor_part_id: Hashable | None, delta: ToolCallPartDelta) -> list[ModelResponseStreamEvent]:
        held = self._nameless_calls.pop(vendor_part_id, None)
        call = (held and delta.apply(held)) or delta.as_part() or delta
        if isinstance(call, ToolCallPartDelta):
            self._nameless_calls[vendor_part_id] = call
            return []
        return self._start(vendor_part_id, call)
