"""Reading a streamed Messages answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import CompactionPart, ModelResponseStreamEvent, NativeToolCallPart, ToolCallPart
from app.ai.models.answers import read_json
from app.ai.models.anthropic.answers import Message, finish_reason_of, part_of, provider_details, usage_of
from app.ai.models.anthropic.messages import Block
from app.ai.models.http import HTTPStreamedResponse


@dataclass
class AnthropicStreamedResponse(HTTPStreamedResponse):
    """A Messages answer that is still being read. A block's index names its part."""

    _message: Message = field(default_factory=lambda: Message(content=[]), init=False)
    _counts: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    _citations: dict[int, list[Any]] = field(default_factory=dict[int, "list[Any]"], init=False)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async with aclosing(self._data()) as events:
            async for data in events:
                for event in self._take(read_json(data, self.requested_model)):
                    yield event

    def _is_sign_of_life(self, data: str) -> bool:
        return '"ping"' in data[:20]

    def _take(self, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        try:
            match event.get("type"):
                case "content_block_start":
                    return self._start(event["index"], event["content_block"])
                case "content_block_delta":
                    return self._add(event["index"], event["delta"])
                case "message_start":
                    self._note_start(Message.model_validate(event["message"]))
                case "message_delta":
                    self._note_end(event)
                case "message_stop":
                    self._ended = True
                case _:
                    pass  # pings, ends of blocks, and kinds to come
        except (KeyError, TypeError, ValueError) as err:
            raise UnexpectedModelBehavior(
                f"{self.requested_model} streamed an event of a wrong shape: {event!r}"[:2000]
            ) from err
        return []

    def _note_start(self, message: Message) -> None:
        self._message = message
        self._model_name = message.model
        self.provider_response_id = message.id
        self._count(message.usage)

    def _note_end(self, event: dict[str, Any]) -> None:
        given = {key: value for key, value in event["delta"].items() if value is not None}
        self._message = self._message.model_copy(update=given)
        self.finish_reason = finish_reason_of(self._message.stop_reason)
        self.provider_details = provider_details(self._message)
        self._count(event.get("usage"))

    def _count(self, counts: dict[str, Any] | None) -> None:
        """Counts are totals, so the newest hold."""
        self._counts |= {key: value for key, value in (counts or {}).items() if value is not None}
        self._usage = usage_of(self._counts)

    def _start(self, index: int, block: Block) -> list[ModelResponseStreamEvent]:
        part = part_of(block, self.provider)
        if part is None:
            return []
        if isinstance(part, ToolCallPart | NativeToolCallPart):
            part.args = part.args or None  # they follow as JSON text
        return self._parts_manager.handle_part(vendor_part_id=index, part=part)

    def _add(self, index: int, delta: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        manager = self._parts_manager
        events: list[ModelResponseStreamEvent] = []
        match delta["type"]:
            case "text_delta" if delta["text"]:
                events = manager.handle_text_delta(vendor_part_id=index, content=delta["text"])
            case "citations_delta":
                events = self._cite(index, delta["citation"])
            case "thinking_delta" if delta["thinking"]:
                events = manager.handle_thinking_delta(vendor_part_id=index, content=delta["thinking"])
            case "signature_delta":
                events = manager.handle_thinking_delta(vendor_part_id=index, signature=delta["signature"])
            case "input_json_delta" if delta["partial_json"]:
                events = manager.handle_tool_call_delta(vendor_part_id=index, args=delta["partial_json"])
            case "compaction_delta":
                part = CompactionPart(delta.get("content"), provider_name=self.provider)
                events = manager.handle_part(vendor_part_id=index, part=part)
            case _:
                pass
        return events

    def _cite(self, index: int, citation: Any) -> list[ModelResponseStreamEvent]:
        citations = self._citations.setdefault(index, [])
        citations.append(citation)
        return self._parts_manager.handle_text_delta(
            vendor_part_id=index,
            content="",
            provider_name=self.provider,
            provider_details={"citations": [*citations]},
        )
