"""Reading a streamed Messages answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from app.ai.messages import (
    CompactionPart,
    ModelResponse,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    ToolCallPart,
)
from app.ai.models.answers import read_json, validated
from app.ai.models.anthropic.answers import (
    MAX_PAUSES,
    Message,
    finish_reason_of,
    is_paused,
    part_of,
    provider_details,
    usage_of,
)
from app.ai.models.anthropic.messages import Block
from app.ai.models.http_stream import HTTPStreamedResponse
from app.ai.models.streamed_response import StreamedResponse
from app.ai.usage import RequestUsage


@dataclass
class AnthropicStreamedResponse(HTTPStreamedResponse):
    """A Messages answer that is still being read. A block's index names its part."""

    _message: Message = field(default_factory=Message, init=False)
    _counts: dict[str, Any] = field(default_factory=dict[str, Any], init=False)
    _unknown: set[int] = field(default_factory=set[int], init=False)
    """Blocks of kinds that we do not know."""
    go_on: Callable[[ModelResponse], AbstractAsyncContextManager[StreamedResponse]] | None = None
    """Asks for the rest of an answer that paused."""
    _offset: int = field(default=0, init=False)
    """How many blocks came before the newest pause."""
    _blocks: int = field(default=0, init=False)
    _used_before: RequestUsage = field(default_factory=RequestUsage, init=False)
    _citations: dict[int, list[Any]] = field(default_factory=dict[int, "list[Any]"], init=False)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for event in super()._get_event_iterator():
            yield event
        for _ in range(MAX_PAUSES):
            so_far = self.get()
            if self.go_on is None or not is_paused(so_far):
                return
            self._offset, self._used_before = self._blocks, so_far.usage
            self._counts, self._unknown, self._citations = {}, set(), {}
            async with self.go_on(so_far) as more:
                if not isinstance(more, AnthropicStreamedResponse):
                    raise self._broken_off("paused, and what followed was no stream")
                self.answer, self._ended, self._done = more.answer, False, False
                async for event in super()._get_event_iterator():
                    yield event

    def _is_sign_of_life(self, data: str) -> bool:
        return '"ping"' in data[:20]

    def _take(self, data: str) -> list[ModelResponseStreamEvent]:
        event = read_json(data, self.requested_model)
        match event.get("type"):
            case "content_block_start":
                return self._start(self._offset + event["index"], event["content_block"])
            case "content_block_delta":
                return self._add(self._offset + event["index"], event["delta"])
            case "message_start":
                self._note_start(validated(Message, event["message"]))
            case "message_delta":
                self._note_end(event)
            case "message_stop":
                self._ended = self._done = True
            case _:
                pass  # pings, ends of blocks, and kinds to come
        return []

    def _note_start(self, message: Message) -> None:
        self._message = message
        self._model_name = message.model
        self.provider_response_id = message.id
        self._count(message.usage)

    def _note_end(self, event: dict[str, Any]) -> None:
        given = {key: value for key, value in event["delta"].items() if value is not None}
        if beside := event.get("context_management"):
            given["context_management"] = beside
        self._count(event.get("usage"))
        self._message = self._message.model_copy(update={**given, "usage": self._counts})
        self.finish_reason = finish_reason_of(self._message.stop_reason)
        self.provider_details = provider_details(self._message)

    def _count(self, counts: dict[str, Any] | None) -> None:
        """Counts are totals, so the newest hold."""
        self._counts |= {key: value for key, value in (counts or {}).items() if value is not None}
        self._usage = self._used_before + usage_of(self._counts)

    def _start(self, index: int, block: Block) -> list[ModelResponseStreamEvent]:
        self._blocks = max(self._blocks, index + 1)
        part = part_of(block, self.provider)
        if part is None:
            if block.get("type") != "text":
                self._unknown.add(index)
            return []
        if isinstance(part, ToolCallPart | NativeToolCallPart):
            part.args = part.args or None  # they follow as JSON text
        return self._parts_manager.handle_part(vendor_part_id=index, part=part)

    def _add(self, index: int, delta: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        manager = self._parts_manager
        events: list[ModelResponseStreamEvent] = []
        match delta:
            case _ if index in self._unknown:
                pass
            case {"type": "text_delta", "text": str(text)} if text:
                events = manager.handle_text_delta(vendor_part_id=index, content=text)
            case {"type": "citations_delta"}:
                events = self._cite(index, delta["citation"])
            case {"type": "thinking_delta", "thinking": str(thought)} if thought:
                events = manager.handle_thinking_delta(vendor_part_id=index, content=thought)
            case {"type": "signature_delta"}:
                events = manager.handle_thinking_delta(vendor_part_id=index, signature=delta["signature"])
            case {"type": "input_json_delta", "partial_json": str(piece)} if piece:
                events = manager.handle_tool_call_delta(vendor_part_id=index, args=piece)
            case {"type": "compaction_delta"}:
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
