"""Reading a streamed Chat Completions answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import ModelResponseStreamEvent
from app.ai.models.answers import error_in_answer, read_answer
from app.ai.models.http_stream import HTTPStreamedResponse
from app.ai.models.openai.additions import REASONING_DETAILS, Additions, Detail, merge_reasoning_details
from app.ai.models.openai.answers import (
    TAGGED,
    AnswerMessage,
    Chunk,
    ChunkChoice,
    ToolCall,
    finish_reason_of,
    provider_details,
)
from app.ai.models.openai.media import Speech, made_files
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.thinking_tags import TextPiece

_DONE = "[DONE]"


@dataclass
class OpenAIStreamedResponse(HTTPStreamedResponse):
    """A Chat Completions answer that is still being read."""

    profile: OpenAIModelProfile = field(default_factory=OpenAIModelProfile)
    _anything_came: bool = field(default=False, init=False)
    _raw_finish_reason: str | None = field(default=None, init=False)
    _created: object = field(default=None, init=False)
    _refusal: str = field(default="", init=False)
    _additions: Additions = field(default_factory=Additions, init=False)
    _reasoning_details: list[Detail] = field(default_factory=list[Detail], init=False)
    _calls: dict[int | str | None, _CallInProgress] = field(
        default_factory=dict[int | str | None, "_CallInProgress"], init=False
    )
    _newest_call: int | str | None = field(default=None, init=False)
    _images: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]], init=False)
    _speech: Speech = field(default_factory=Speech, init=False)

    def _take(self, data: str) -> list[ModelResponseStreamEvent]:
        if data.strip() == _DONE:
            self._ended = self._done = True
            return []
        chunk = read_answer(Chunk, data, self.requested_model)
        if chunk.choices is None and chunk.message:  # an error without an object `error`
            raise error_in_answer({"message": chunk.message, "code": chunk.code}, self.requested_model)
        self._note(chunk)
        events: list[ModelResponseStreamEvent] = []
        for choice in chunk.choices or []:
            if not choice.index:
                self._anything_came = True
                events += self._take_choice(choice)
        return events

    def _take_end(self) -> list[ModelResponseStreamEvent]:
        if not self._anything_came:
            raise UnexpectedModelBehavior(f"{self.requested_model} answered with an empty stream")
        # What has no place in the text stands at the end of a whole answer, too.
        parts = [*made_files(self._images, self._speech), *self._additions.native_parts(self.provider)]
        return [event for part in parts for event in self._parts_manager.handle_part(vendor_part_id=None, part=part)]

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
        if choice.error:
            raise error_in_answer(choice.error, self.requested_model)
        events = self._take_delta(choice.delta) if choice.delta else []
        if self._additions.note_choice(choice.logprobs, choice.content_filter_results):
            self._note_details()
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

    def _take_delta(self, delta: AnswerMessage) -> list[ModelResponseStreamEvent]:
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
        if delta.audio or delta.images:
            events += self._take_media(delta)
        for call in delta.calls():
            events += self._take_call(call)
        return events

    def _take_media(self, delta: AnswerMessage) -> list[ModelResponseStreamEvent]:
        self._images += delta.images or []
        self._speech.add(delta.audio)
        if not (delta.audio and delta.audio.transcript):
            return []
        return self._parts_manager.handle_text_delta(vendor_part_id="audio", content=delta.audio.transcript)

    def _take_thinking(self, delta: AnswerMessage) -> list[ModelResponseStreamEvent]:
        thinking = delta.thinking(self.profile.openai_chat_thinking_field)
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
                vendor_part_id=None, content=piece.content, id=TAGGED, provider_name=self.provider
            )
        return self._parts_manager.handle_text_delta(
            vendor_part_id=None,
            content=piece.content,
            id=TAGGED,
            provider_name=self.provider,
            thinking_tags=self.profile.thinking_tags,
            ignore_leading_whitespace=self.profile.ignore_streamed_leading_whitespace,
        )

    def _take_call(self, piece: ToolCall) -> list[ModelResponseStreamEvent]:
        called = piece.function or piece.custom
        if called is None:
            return []  # a kind to come
        call = self._call_of(piece, called.name)
        name = called.name or None
        if name == call.name:
            name = None  # some servers repeat it with every piece
        call.name = call.name or name
        call.id = call.id or piece.id or None
        if piece.custom:
            call.text += piece.custom.input or ""
        details = piece.details
        return self._parts_manager.handle_tool_call_delta(
            vendor_part_id=call,
            tool_name=name,
            args=piece.function.arguments if piece.function else {"input": call.text},
            tool_call_id=piece.id or None,
            provider_name=self.provider if details else None,
            provider_details=details,
        )

    def _call_of(self, piece: ToolCall, name: str | None) -> _CallInProgress:
        place = next((place for place in (piece.index, piece.id) if place is not None), self._newest_call)
        call = self._calls.get(place)
        # Some servers give every call the index 0: another id together with a name is another call.
        if call is None or (piece.id and name and call.id not in (None, piece.id)):
            call = self._calls[place] = _CallInProgress()
        self._newest_call = place
        return call


@dataclass(eq=False)
class _CallInProgress:
    id: str | None = None
    name: str | None = None
    text: str = ""
    """The free text of a custom call."""
