"""A response that is still being read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.ai.messages import (
    FilePart,
    FinalResultEvent,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    ModelResponseState,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from app.ai.models.parameters import ModelRequestParameters
from app.ai.parts import ModelResponsePartsManager
from app.ai.tools import ToolDefinition
from app.ai.usage import RequestUsage

_PARTS_WITH_AN_END = (TextPart, ThinkingPart, ToolCallPart, NativeToolCallPart)


@dataclass
class StreamedResponse(ABC):
    """A response that is still being read: an async iterator of events.

    Events per part: start, deltas, end. `FinalResultEvent` follows the event that first proves a final result.
    Subclasses yield starts and deltas from `_get_event_iterator`; ends and the final result are added here.
    """

    model_request_parameters: ModelRequestParameters
    final_result_event: FinalResultEvent | None = field(default=None, init=False)
    provider_response_id: str | None = field(default=None, init=False)
    provider_details: dict[str, Any] | None = field(default=None, init=False)
    finish_reason: FinishReason | None = field(default=None, init=False)
    _parts_manager: ModelResponsePartsManager = field(default_factory=ModelResponsePartsManager, init=False)
    _usage: RequestUsage = field(default_factory=RequestUsage, init=False)
    _state: ModelResponseState = field(default="incomplete", init=False)
    _events: AsyncGenerator[ModelResponseStreamEvent] | None = field(default=None, init=False)
    _newest_part: int | None = field(default=None, init=False)
    _failure: Exception | None = field(default=None, init=False)

    @abstractmethod
    def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Read the provider's stream and yield starts and deltas."""

    @property
    @abstractmethod
    def model_name(self) -> str:
        """The model's name, as the response tells it."""

    @property
    @abstractmethod
    def provider_name(self) -> str | None:
        """The provider's name."""

    @property
    def provider_url(self) -> str | None:
        """Where the provider's API is."""
        return None

    @property
    @abstractmethod
    def timestamp(self) -> datetime:
        """When the response was made."""

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """The events; iterating again goes on where the last iteration stopped."""
        if self._events is None:
            self._events = self._read_events()
        return self._events

    def get(self) -> ModelResponse:
        """The response as it is by now; `state` tells whether it is complete."""
        return ModelResponse(
            parts=self._parts_manager.get_parts(),
            usage=self._usage,
            model_name=self.model_name,
            timestamp=self.timestamp,
            provider_name=self.provider_name,
            provider_url=self.provider_url,
            provider_details=self.provider_details,
            provider_response_id=self.provider_response_id,
            finish_reason=self.finish_reason,
            state=self._state,
        )

    def usage(self) -> RequestUsage:
        """The usage as far as it is known by now."""
        return self._usage

    @property
    def cancelled(self) -> bool:
        """Whether the stream was cancelled before its end."""
        return self._state == "interrupted"

    @property
    def failure(self) -> Exception | None:
        """What ended the stream too early. Who reads it is told, not who opened it."""
        return self._failure

    async def cancel(self) -> None:
        """Stop reading and close the connection. What was read so far stays, as an interrupted response."""
        if self._state != "incomplete":
            return
        self._state = "interrupted"
        await self.close_stream()

    async def close_stream(self) -> None:
        """Close the connection below, for subclasses that have one."""
        return

    async def aclose(self) -> None:
        """End the iteration, wherever it stands; models do so when their `request_stream` is left."""
        if self._events is not None:
            await self._events.aclose()

    async def _read_events(self) -> AsyncGenerator[ModelResponseStreamEvent]:
        events = self._get_event_iterator()
        try:
            async for event in events:
                for reported in self._with_ends_and_final_result(event):
                    yield reported
        except Exception as error:
            # A connection that breaks because we closed it is no error.
            if not self.cancelled:
                self._failure = error
                raise
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()
        if self.cancelled:
            return
        for event in self._parts_manager.finish():
            for reported in self._with_ends_and_final_result(event):
                yield reported
        if end := self._end_of_newest_part(next_part=None):
            yield end
        self._state = "complete"

    def _with_ends_and_final_result(self, event: ModelResponseStreamEvent) -> list[ModelResponseStreamEvent]:
        if not isinstance(event, PartStartEvent):
            return [event]
        reported: list[ModelResponseStreamEvent] = [event]
        if self._newest_part is not None and event.index != self._newest_part:
            event.previous_part_kind = self._parts_manager.get_parts()[self._newest_part].part_kind
            if end := self._end_of_newest_part(next_part=event.part):
                reported.insert(0, end)
        self._newest_part = event.index
        if self.final_result_event is None and (final := self._final_result(event.part)):
            self.final_result_event = final
            reported.append(final)
        return reported

    def _end_of_newest_part(self, *, next_part: ModelResponsePart | None) -> PartEndEvent | None:
        if self._newest_part is None:
            return None
        part = self._parts_manager.get_parts()[self._newest_part]
        if not isinstance(part, _PARTS_WITH_AN_END):
            return None
        return PartEndEvent(index=self._newest_part, part=part, next_part_kind=next_part and next_part.part_kind)

    def _final_result(self, part: ModelResponsePart) -> FinalResultEvent | None:
        parameters = self.model_request_parameters
        match part:
            case TextPart() if parameters.allow_text_output:
                return FinalResultEvent(tool_name=None, tool_call_id=None)
            case FilePart(content=content) if parameters.allow_image_output and content.is_image:
                return FinalResultEvent(tool_name=None, tool_call_id=None)
            case ToolCallPart(tool_name=name):
                return self._final_result_of_call(parameters.tool_defs.get(name), part)
            case _:
                return None

    @staticmethod
    def _final_result_of_call(tool: ToolDefinition | None, call: ToolCallPart) -> FinalResultEvent | None:
        if tool and tool.kind == "output":
            return FinalResultEvent(tool_name=call.tool_name, tool_call_id=call.tool_call_id)
        if tool and tool.defer:
            return FinalResultEvent(tool_name=None, tool_call_id=None)
        return None
