"""Reading a streamed Gemini answer."""

from __future__ import annotations

from dataclasses import dataclass

from app.ai.messages import ModelResponseStreamEvent
from app.ai.models.answers import read_pieces
from app.ai.models.google.answers import Answer, AnswerReader
from app.ai.models.http_stream import HTTPStreamedResponse


@dataclass
class GoogleStreamedResponse(HTTPStreamedResponse):
    """A Gemini answer that is still being read. It is complete when a piece gives the reason of its end."""

    def __post_init__(self) -> None:
        self._reader = AnswerReader(self._parts_manager, self.provider)

    def _take(self, data: str) -> list[ModelResponseStreamEvent]:
        events: list[ModelResponseStreamEvent] = []
        for piece in read_pieces(Answer, data, self.requested_model):
            events += self._reader.take(piece)
        self._note()
        return events

    def _take_end(self) -> list[ModelResponseStreamEvent]:
        return self._reader.finish()

    def _note(self) -> None:
        reader = self._reader
        self._ended = reader.ended
        self._model_name = reader.model
        self._usage = reader.usage
        self.provider_response_id = reader.id
        self.provider_details = reader.provider_details
        self.finish_reason = reader.finish_reason
