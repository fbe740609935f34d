"""Reading a streamed Responses answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import ModelResponsePart, ModelResponseStreamEvent, TextPart, ThinkingPart, ToolCallPart
from app.ai.models.answers import error_in_answer, read_json
from app.ai.models.http import HTTPStreamedResponse
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
    _started: dict[Hashable, str] = field(default_factory=dict[Hashable, str], init=False)
    """What came by deltas so far, by place."""

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async with aclosing(self._data()) as events:
            async for data in events:
                if data.strip() == "[DONE]":
                    continue
                for event in self._take(read_json(data, self.requested_model)):
                    yield event

    def _take(self, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        try:
            kind: str = event["type"]
            if kind.endswith(".delta"):
                return self._take_delta(kind, event)
            if kind == "response.output_item.added":
                return self._take_start(event["output_index"], event["item"])
            if kind == "response.output_item.done":
                return self._take_item(event["output_index"], event["item"])
            self._note(kind, event)
        except (KeyError, TypeError, ValueError) as err:
            raise UnexpectedModelBehavior(
                f"{self.requested_model} streamed an event of a wrong shape: {event!r}"[:2000]
            ) from err
        return []

    def _note(self, kind: str, event: dict[str, Any]) -> None:
        if kind == "error":
            raise error_in_answer(event, self.requested_model)
        if kind == "response.failed":
            raise error_in_answer(event["response"].get("error") or "no reason given", self.requested_model)
        if kind not in (*_HEADS, *_ENDS):
            return
        response = Response.model_validate(event["response"])
        self._model_name = response.model or self._model_name
        self.provider_response_id = response.id
        if response.usage:
            self._usage = response.usage.as_request_usage()
        if kind in _ENDS:
            self._ended = True
            self.finish_reason = finish_reason_of(response, self._refusal)
            self.provider_details = provider_details(response, self._refusal)

    def _take_start(self, index: int, item: Item) -> list[ModelResponseStreamEvent]:
        if item["type"] != "function_call":
            return []
        return self._whole((index, "call"), call_of(item, self.provider))

    def _take_delta(self, kind: str, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        index, delta = event["output_index"], event["delta"]
        match kind:
            case "response.output_text.delta":
                return self._text((index, ("text", event["content_index"])), delta, event.get("item_id"))
            case "response.reasoning_summary_text.delta":
                return self._thought((index, ("summary", event["summary_index"])), delta, event.get("item_id"))
            case "response.reasoning_text.delta":
                place = (index, (RAW, event["content_index"]))
                return self._thought(place, delta, event.get("item_id"), {"kind": RAW})
            case "response.function_call_arguments.delta" if delta:
                self._started[index, "call"] += delta
                return self._parts_manager.handle_tool_call_delta(vendor_part_id=(index, "call"), args=delta)
            case _:
                return []

    def _text(self, place: Hashable, delta: str, item_id: str | None) -> list[ModelResponseStreamEvent]:
        self._started[place] = self._started.get(place, "") + delta
        return self._parts_manager.handle_text_delta(
            vendor_part_id=place, content=delta, id=item_id, provider_name=self.provider
        )

    def _thought(
        self, place: Hashable, delta: str, item_id: str | None, details: dict[str, Any] | None = None
    ) -> list[ModelResponseStreamEvent]:
        self._started[place] = self._started.get(place, "") + delta
        return self._parts_manager.handle_thinking_delta(
            vendor_part_id=place, content=delta, id=item_id, provider_name=self.provider, provider_details=details
        )

    def _whole(self, place: Hashable, part: ModelResponsePart) -> list[ModelResponseStreamEvent]:
        arguments = part.args if isinstance(part, ToolCallPart) else None
        self._started[place] = arguments if isinstance(arguments, str) else ""
        return self._parts_manager.handle_part(vendor_part_id=place, part=part)

    def _take_item(self, index: int, item: Item) -> list[ModelResponseStreamEvent]:
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
