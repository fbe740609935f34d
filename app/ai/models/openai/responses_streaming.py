"""Reading a streamed Responses answer."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from app.ai.messages import ModelResponsePart, ModelResponseStreamEvent, TextPart, ThinkingPart, ToolCallPart
from app.ai.models.answers import error_in_answer, read_json, validated
from app.ai.models.http_stream import HTTPStreamedResponse
from app.ai.models.openai.responses_answers import (
    RAW,
    Item,
    PlacedPart,
    Response,
    call_of,
    finish_reason_of,
    parts_of,
    provider_details,
    refusal_in,
)

_ENDS = ("response.completed", "response.incomplete", "response.done", "response.cancelled")
_HEADS = ("response.created", "response.in_progress", "response.queued")


@dataclass
class OpenAIResponsesStreamedResponse(HTTPStreamedResponse):
    """A Responses answer that is still being read.

    Text, thinking and calls grow by deltas; what a finished item holds beyond them is added when it is done, so that
    the parts are the same as those of a whole answer.
    """

    _refusal: str = field(default="", init=False)
    _started: dict[Hashable, bool] = field(default_factory=dict[Hashable, bool], init=False)
    """The places of the parts that began, and whether anything of them came."""
    _items: set[int] = field(default_factory=set[int], init=False)
    """The items that are finished."""

    def _take(self, data: str) -> list[ModelResponseStreamEvent]:
        if data.strip() == "[DONE]":
            return []
        event = read_json(data, self.requested_model)
        return self._take_event(event.get("type") or "", event)

    def _take_event(self, kind: str, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        if kind.endswith(".delta"):
            return self._take_delta(kind, event)
        if kind == "response.output_item.added":
            return self._take_start(event["output_index"], event["item"])
        if kind == "response.output_item.done":
            return self._take_item(event["output_index"], event["item"])
        return self._note(kind, event)

    def _is_sign_of_life(self, data: str) -> bool:
        return '"keepalive"' in data[:40] or '"ping"' in data[:40]

    def _note(self, kind: str, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        if kind == "error":
            raise error_in_answer(event, self.requested_model)
        if kind == "response.failed":
            raise error_in_answer(event["response"].get("error") or "no reason given", self.requested_model)
        if kind not in (*_HEADS, *_ENDS):
            return []
        response = validated(Response, event["response"])
        self._model_name = response.model or self._model_name
        self.provider_response_id = response.id or self.provider_response_id
        if response.usage:
            self._usage = response.usage.as_request_usage()
        if kind not in _ENDS:
            return []
        events = self._take_missing(response.output)
        self._ended = self._done = True
        self.finish_reason = finish_reason_of(response, self._refusal)
        self.provider_details = provider_details(response, self._refusal)
        return events

    def _take_missing(self, output: list[Item]) -> list[ModelResponseStreamEvent]:
        """Some servers tell of an item only in the whole answer at the end."""
        events: list[ModelResponseStreamEvent] = []
        for index, item in enumerate(output):
            if index not in self._items:
                events += self._take_item(index, item)
        return events

    def _take_start(self, index: int, item: Item) -> list[ModelResponseStreamEvent]:
        if item.get("type") != "function_call":
            return []
        return self._whole((index, "call"), call_of(item, self.provider))

    def _take_delta(self, kind: str, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        match kind if isinstance(event.get("delta"), str) else None:
            case "response.output_text.delta":
                return self._text((event["output_index"], ("text", event.get("content_index", 0))), event)
            case "response.reasoning_summary_text.delta":
                return self._thought((event["output_index"], ("summary", event.get("summary_index", 0))), event)
            case "response.reasoning_text.delta":
                place = (event["output_index"], (RAW, event.get("content_index", 0)))
                return self._thought(place, event, {"kind": RAW})
            case "response.function_call_arguments.delta":
                return self._arguments((event["output_index"], "call"), event["delta"])
            case _:
                return []  # code, images and the like come whole with their items

    def _arguments(self, place: Hashable, delta: str) -> list[ModelResponseStreamEvent]:
        if place not in self._started or not delta:
            return []  # the call comes whole with its item
        self._started[place] = True
        return self._parts_manager.handle_tool_call_delta(vendor_part_id=place, args=delta)

    def _text(self, place: Hashable, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        self._started[place] = True
        return self._parts_manager.handle_text_delta(
            vendor_part_id=place, content=event["delta"], id=event.get("item_id"), provider_name=self.provider
        )

    def _thought(
        self, place: Hashable, event: dict[str, Any], details: dict[str, Any] | None = None
    ) -> list[ModelResponseStreamEvent]:
        details = None if place in self._started else details
        self._started[place] = True
        return self._parts_manager.handle_thinking_delta(
            vendor_part_id=place,
            content=event["delta"],
            id=event.get("item_id"),
            provider_name=self.provider,
            provider_details=details,
        )

    def _whole(self, place: Hashable, part: ModelResponsePart) -> list[ModelResponseStreamEvent]:
        self._started[place] = not isinstance(part, ToolCallPart) or bool(part.args)
        return self._parts_manager.handle_part(vendor_part_id=place, part=part)

    def _take_item(self, index: int, item: Item) -> list[ModelResponseStreamEvent]:
        self._items.add(index)
        self._refusal += refusal_in(item)
        events: list[ModelResponseStreamEvent] = []
        for placed in parts_of(item, self.provider):
            events += self._complete((index, placed.place), placed)
        return events

    def _complete(self, place: Hashable, placed: PlacedPart) -> list[ModelResponseStreamEvent]:
        part, manager = placed.part, self._parts_manager
        if place not in self._started:
            return self._whole(place, part)
        came = self._started[place]
        match part:
            case TextPart() if part.provider_details:
                return manager.handle_text_delta(
                    vendor_part_id=place, content="", provider_details=part.provider_details
                )
            case ThinkingPart() if part.signature:
                return manager.handle_thinking_delta(vendor_part_id=place, signature=part.signature)
            case ToolCallPart() if part.args and not came:
                # Some servers give the arguments only when they are complete.
                return manager.handle_tool_call_delta(vendor_part_id=place, args=part.args)
            case _:
                return []
