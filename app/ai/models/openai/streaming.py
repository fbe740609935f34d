"""Reading a streamed Chat Completions answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import ModelResponseStreamEvent
from app.ai.models.answers import read_answer
from app.ai.models.http import HTTPStreamedResponse
from app.ai.models.openai.additions import REASONING_DETAILS, Additions, Detail, merge_reasoning_details
from app.ai.models.openai.answers import (
    AnswerMessage,
    Chunk,
    ChunkChoice,
    ToolCall,
    finish_reason_of,
    provider_details,
)
from app.ai.profiles import ModelProfile
from app.ai.thinking_tags import TextPiece

_DONE = "[DONE]"


@dataclass
class OpenAIStreamedResponse(HTTPStreamedResponse):
    """A Chat Completions answer that is still being read."""

    profile: ModelProfile = field(default_factory=ModelProfile)
    _raw_finish_reason: str | None = field(default=None, init=False)
    _created: float | None = field(default=None, init=False)
    _refusal: str = field(default="", init=False)
    _additions: Additions = field(default_factory=Additions, init=False)
    _reasoning_details: list[Detail] = field(default_factory=list[Detail], init=False)
    _calls: dict[int | str | None, _CallInProgress] = field(
        default_factory=dict[int | str | None, "_CallInProgress"], init=False
    )
    _newest_call: int | str | None = field(default=None, init=False)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        anything_came = False
        async with aclosing(self._chunks()) as chunks:
            async for chunk in chunks:
                self._note(chunk)
                for choice in chunk.choices or []:
                    if choice.index == 0:
                        anything_came = True
                        for event in self._take_choice(choice):
                            yield event
        for part in self._additions.native_parts(self.provider):
            for event in self._parts_manager.handle_part(vendor_part_id=None, part=part):
                yield event
        if not anything_came:
            raise UnexpectedModelBehavior(f"{self.requested_model} answered with an empty stream")

    async def _chunks(self) -> AsyncGenerator[Chunk]:
        async with aclosing(self._data()) as events:
            async for data in events:
                if data.strip() == _DONE:
                    self._ended = True
                    return
                yield read_answer(Chunk, data, self.requested_model)

    def _note(self, chunk: Chunk) -> None:
        """Keep what stands beside the answer itself; counts are totals, so the newest hold."""
        self.provider_response_id = self.provider_response_id or chunk.id
        self._model_name = self._model_name or chunk.model
        is_new = self._created is None and chunk.created is not None
        self._created = self._created or chunk.created
        if usage := chunk.given_usage:
            self._usage = usage.as_request_usage()
        if chunk.note_sources(self._additions) or is_new:
            self._note_details()

    def _take_choice(self, choice: ChunkChoice) -> list[ModelResponseStreamEvent]:
        events = self._take(choice.delta) if choice.delta else []
        if choice.finish_reason:
            self._raw_finish_reason = choice.finish_reason
            self._ended = True
        if choice.finish_reason or (choice.delta and choice.delta.refusal):
            self.finish_reason = "content_filter" if self._refusal else finish_reason_of(self._raw_finish_reason)
            self._note_details()
        return events

    def _note_details(self) -> None:
        details = provider_details(self._created, self._raw_finish_reason, self._refusal) or {}
        self.provider_details = details | self._additions.details() or None

    def _take(self, delta: AnswerMessage) -> list[ModelResponseStreamEvent]:
        events: list[ModelResponseStreamEvent] = []
        if delta.refusal:
            self._refusal += delta.refusal
        if delta.annotations or delta.executed_tools:
            self._additions.note(delta.annotations, delta.executed_tools)
            self._note_details()
        events += self._take_thinking(delta)
        if delta.content:
            for piece in delta.pieces():
                events += self._take_piece(piece)
        for call in delta.tool_calls or []:
            events += self._take_call(call)
        return events

    def _take_thinking(self, delta: AnswerMessage) -> list[ModelResponseStreamEvent]:
        thinking = delta.thinking()
        if not thinking and not delta.reasoning_details:
            return []
        field_name, thought = thinking or ("reasoning", None)
        details = None
        if delta.reasoning_details:
            self._reasoning_details = merge_reasoning_details(self._reasoning_details, delta.reasoning_details)
            details = {REASONING_DETAILS: self._reasoning_details}
        return self._parts_manager.handle_thinking_delta(
            vendor_part_id=field_name,
            content=thought,
            id=field_name,
            provider_name=self.provider,
            provider_details=details,
        )

    def _take_piece(self, piece: TextPiece) -> list[ModelResponseStreamEvent]:
        if not piece.content:
            return []
        if piece.kind == "thinking":
            return self._parts_manager.handle_thinking_delta(
                vendor_part_id=None, content=piece.content, provider_name=self.provider
            )
        return self._parts_manager.handle_text_delta(
            vendor_part_id=None,
            content=piece.content,
            thinking_tags=self.profile.thinking_tags,
            ignore_leading_whitespace=self.profile.ignore_streamed_leading_whitespace,
        )

    def _take_call(self, piece: ToolCall) -> list[ModelResponseStreamEvent]:
        call = self._call_of(piece)
        name = piece.function.name or None
        if name == call.name:
            name = None  # some servers repeat it with every piece
        call.name = call.name or name
        call.id = call.id or piece.id or None
        return self._parts_manager.handle_tool_call_delta(
            vendor_part_id=call, tool_name=name, args=piece.function.arguments, tool_call_id=piece.id or None
        )

    def _call_of(self, piece: ToolCall) -> _CallInProgress:
        place = next((place for place in (piece.index, piece.id) if place is not None), self._newest_call)
        call = self._calls.get(place)
        # Some servers give every call the index 0: another id together with a name is another call.
        if call is None or (piece.id and piece.function.name and call.id not in (None, piece.id)):
            call = self._calls[place] = _CallInProgress()
        self._newest_call = place
        return call


@dataclass(eq=False)
class _CallInProgress:
    id: str | None = None
    name: str | None = None
