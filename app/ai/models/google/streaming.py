"""Reading a streamed Gemini answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from app.ai.messages import ModelResponseStreamEvent
from app.ai.models.answers import read_answer
from app.ai.models.google.answers import Answer, AnswerReader
from app.ai.models.http import HTTPStreamedResponse


@dataclass
class GoogleStreamedResponse(HTTPStreamedResponse):
    """A Gemini answer that is still being read. It is complete when a piece gives the reason of its end."""

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        reader = AnswerReader(self._parts_manager, self.provider)
        async with aclosing(self._data()) as events:
            async for data in events:
                pieces = reader.take(read_answer(Answer, data, self.requested_model))
                self._note(reader)
                for piece in pieces:
                    yield piece
        for piece in reader.finish():
            yield piece

    def _note(self, reader: AnswerReader) -> None:
        self._ended = reader.ended
        self._model_name = reader.model
        self._usage = reader.usage
        self.provider_response_id = reader.id
        self.provider_details = reader.provider_details
        self.finish_reason = reader.finish_reason
