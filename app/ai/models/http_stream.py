"""Answers of an HTTP API that are still being read."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import httpx

from app.ai.exceptions import ModelAPIError, UnexpectedModelBehavior
from app.ai.messages import ModelResponseStreamEvent
from app.ai.models.patience import Patience
from app.ai.models.server_sent import event_data
from app.ai.models.streamed_response import StreamedResponse
from app.ai.models.wrapper import CompletedStreamedResponse
from app.ai.stamps import now_utc

_GOODBYE = 0.5
"""Seconds that a server has to end a stream after the answer."""


@dataclass
class OpenAnswer:
    """An answer whose status is known and whose body is not read yet."""

    response: httpx.Response
    model_name: str
    provider_name: str
    provider_url: str
    deadline: float
    """The time of the event loop by which all of it has to be there."""

    @property
    def is_stream(self) -> bool:
        """Whether it comes in server-sent events."""
        return "event-stream" in self._content_type

    @property
    def is_json(self) -> bool:
        """Whether it comes as a whole."""
        return "json" in self._content_type

    @property
    def _content_type(self) -> str:
        return self.response.headers.get("content-type", "")

    @property
    def longest_silence(self) -> float | None:
        """Seconds that the server may say nothing."""
        timeouts: Mapping[str, float | None] = self.response.request.extensions.get("timeout", {})
        return timeouts.get("read")

    async def text(self) -> str:
        """The whole body."""
        try:
            async with asyncio.timeout_at(self.deadline):
                return (await self.response.aread()).decode(errors="replace")
        except TimeoutError as err:
            raise broken_off(self.model_name, f"The answer of {self.model_name} took too long") from err
        except httpx.TransportError as err:
            raise broken_off(self.model_name, f"The answer of {self.model_name} broke off: {describe(err)}") from err


@dataclass
class HTTPStreamedResponse(StreamedResponse):
    """An answer in server-sent events that is still being read."""

    answer: OpenAnswer
    started_at: datetime = field(default_factory=now_utc)
    _model_name: str | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)
    """Whether the answer is complete, by the API's own end marker; subclasses set it."""
    _done: bool = field(default=False, init=False)
    """Whether nothing at all comes any more."""

    @property
    def requested_model(self) -> str:
        """The name that the model was asked by."""
        return self.answer.model_name

    @property
    def provider(self) -> str:
        """The provider's name."""
        return self.answer.provider_name

    @abstractmethod
    def _take(self, data: str) -> list[ModelResponseStreamEvent]:
        """Take the data of an event in."""

    def _take_end(self) -> list[ModelResponseStreamEvent]:
        """Take the end of a complete answer in."""
        return []

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async with aclosing(self._data()) as pieces:
            async for data in pieces:
                try:
                    events = self._take(data)
                except (KeyError, TypeError, AttributeError, ValueError) as err:
                    raise UnexpectedModelBehavior(
                        f"{self.requested_model} streamed an event of a wrong shape: {data}"[:2000]
                    ) from err
                for event in events:
                    yield event
        for event in self._take_end():
            yield event

    async def _data(self) -> AsyncGenerator[str]:
        """The data of each event, until the stream ends. ModelAPIError if it ends before the answer is complete."""
        try:
            async with aclosing(self._with_patience()) as events:
                async for data in events:
                    yield data
        except httpx.TransportError as err:
            # Once the answer has said that it is finished, a rough goodbye loses at most the usage.
            if not self._ended:
                raise self._broken_off(f"broke off: {describe(err)}") from err
        if not self._ended and not self.cancelled:
            raise self._broken_off("ended before the answer was complete")

    async def _with_patience(self) -> AsyncGenerator[str]:
        """The data of each event. The connection's own timeout does not see a server that only sends signs of life."""
        pieces = cast("AsyncGenerator[bytes]", self.answer.response.aiter_bytes())
        with Patience(self.answer.longest_silence, self.answer.deadline) as patience:
            async with aclosing(pieces), aclosing(event_data(pieces)) as events:
                try:
                    while (data := await patience.wait(anext(events, None))) is not None:
                        if not self._is_sign_of_life(data):
                            patience.renew()
                        yield data
                        if self._done:
                            await _drain(events)
                            return
                except TimeoutError as err:
                    raise self._broken_off(str(err)) from err

    def _broken_off(self, how: str) -> ModelAPIError:
        return broken_off(self.requested_model, f"The stream of {self.requested_model} {how}")

    def _is_sign_of_life(self, data: str) -> bool:
        """Whether an event only says that the server is still there."""
        return False

    @property
    def model_name(self) -> str:
        return self._model_name or self.requested_model

    @property
    def provider_name(self) -> str:
        return self.provider

    @property
    def provider_url(self) -> str:
        return self.answer.provider_url

    @property
    def timestamp(self) -> datetime:
        return self.started_at

    async def close_stream(self) -> None:
        await self.answer.response.aclose()


@dataclass
class WholeStreamedResponse(CompletedStreamedResponse):
    """An answer that came whole though a stream was asked for: all of its parts are told at once."""

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for part in self.response.parts:
            for event in self._parts_manager.handle_part(vendor_part_id=None, part=part):
                yield event


async def _drain(events: AsyncGenerator[str]) -> None:
    """Read to the very end, so that the connection can be used again; a server that does not hang up loses it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE):
            async for _ in events:
                pass


def broken_off(model_name: str, message: str) -> ModelAPIError:
    """An answer that began and did not end. Asking again is right, but not unasked: it costs, and what came is void."""
    error = ModelAPIError(model_name, message)
    error.retry_at = now_utc()
    return error


def describe(err: httpx.TransportError) -> str:
    """What went wrong with a connection; httpx often leaves the message empty."""
    return f"{type(err).__name__}{f': {err}' if str(err) else ''}"
