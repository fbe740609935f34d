"""Responses that OpenAI makes in the background and stores: who loses the connection picks the answer up again.

ask (background, stored) ─► id ─► handle kept ─► events ─► end
                             ▲                     │ connection lost: GET the response after the last event
a later attempt, its handle ─┘                     └ nobody comes back: the response is cancelled
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from app.ai.exceptions import ModelAPIError, ModelHTTPError
from app.ai.messages import ModelResponseStreamEvent
from app.ai.models.handles import RequestHandles
from app.ai.models.http import Question
from app.ai.models.http_stream import OpenAnswer
from app.ai.models.openai.responses_streaming import OpenAIResponsesStreamedResponse
from app.ai.stamps import now_utc

PATH: Final = "/responses"
_LOSSES_IN_A_ROW: Final = 3
"""How often the connection may be lost without a single new event."""

Open = Callable[[Question], AbstractAsyncContextManager[OpenAnswer]]


@dataclass
class StoredResponse:
    """One response that is made in the background: its id once it is known, and the way to its events."""

    open: Open
    handles: RequestHandles
    fingerprint: str
    """Of the request, so that an answer to another one is never taken for its answer."""
    id: str | None = None
    ended: bool = False

    @classmethod
    async def of(cls, question: Question, open_question: Open, handles: RequestHandles) -> StoredResponse:
        """The response to a question, with the id that an earlier attempt of the same question has left."""
        fingerprint = hashlib.sha256(json.dumps(question.body, sort_keys=True).encode()).hexdigest()
        left: Mapping[str, Any] = await handles.recall() or {}
        known = left.get("response_id") if left.get("request") == fingerprint else None
        return cls(open_question, handles, fingerprint, known)

    async def begin(self, stack: AsyncExitStack, question: Question) -> OpenAnswer:
        """The events of the response: of the one that is there already, else of a new one."""
        if self.id is not None:
            try:
                return await stack.enter_async_context(self.open(self.after(None)))
            except ModelHTTPError as error:
                if error.status_code != 404:
                    raise
                self.id = None
        return await stack.enter_async_context(self.open(question))

    async def keep(self, response_id: str) -> None:
        """Note the id, for a later attempt too."""
        if self.id != response_id:
            self.id = response_id
            await self.handles.keep({"response_id": response_id, "request": self.fingerprint})

    def after(self, sequence_number: int | None) -> Question:
        """Asks for the events after one, or for all of them."""
        rest = "" if sequence_number is None else f"&starting_after={sequence_number}"
        return Question(path=f"{PATH}/{self.id}?stream=true{rest}", body={}, method="GET")

    async def leave(self) -> None:
        """Stop the response if it is not complete and nobody will come back for it."""
        if self.id is None or self.ended or not await self.handles.given_up():
            return
        try:
            async with self.open(Question(path=f"{PATH}/{self.id}/cancel", body={})):
                pass
        except ModelAPIError:
            return  # it may have ended by itself meanwhile


@dataclass
class StoredAnswer(OpenAnswer):
    """The open events of a stored response."""

    stored: StoredResponse = field(kw_only=True)


@dataclass
class BackgroundStreamedResponse(OpenAIResponsesStreamedResponse):
    """A stored response that is still being read. A lost connection is opened again after the last event."""

    stored: StoredResponse = field(kw_only=True)
    _last_event: int | None = field(default=None, init=False)

    def _take_event(self, kind: str, event: dict[str, Any]) -> list[ModelResponseStreamEvent]:
        self._last_event = event.get("sequence_number", self._last_event)
        return super()._take_event(kind, event)

    async def _data(self) -> AsyncGenerator[str]:
        losses = 0
        async with AsyncExitStack() as stack:
            while True:
                before = self._last_event
                try:
                    async with aclosing(super()._data()) as pieces:
                        async for data in pieces:
                            yield data
                            await self._note_progress()
                    return
                except ModelAPIError as lost:
                    losses = losses + 1 if self._last_event == before else 0
                    if self.stored.id is None or losses == _LOSSES_IN_A_ROW or isinstance(lost, ModelHTTPError):
                        raise
                self.answer = await self._opened_again(stack)

    async def _opened_again(self, stack: AsyncExitStack) -> OpenAnswer:
        await stack.aclose()
        try:
            return await stack.enter_async_context(self.stored.open(self.stored.after(self._last_event)))
        except ModelAPIError as error:
            if not isinstance(error, ModelHTTPError):
                # The response goes on without us: it costs nothing to look for it again later.
                error.retry_at = error.retry_at or now_utc()
            raise

    async def _note_progress(self) -> None:
        self.stored.ended = self._ended
        if self.provider_response_id is not None:
            await self.stored.keep(self.provider_response_id)
