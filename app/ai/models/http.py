"""Asking a model over HTTP: sending, errors, and answers that are still being read."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import EventSource, SSEError

from app.ai.exceptions import ModelAPIError, ModelCoolingDown, ModelHTTPError, UnexpectedModelBehavior
from app.ai.models.answers import error_body, read_json
from app.ai.models.model import Model
from app.ai.models.patience import Patience
from app.ai.models.streamed_response import StreamedResponse
from app.ai.profiles import ModelProfileSpec
from app.ai.providers import Provider
from app.ai.retries import asked_pause, end_of_pause, send_with_retries
from app.ai.settings import ModelSettings
from app.ai.stamps import now_utc

_REQUEST_ID_HEADERS = ("request-id", "x-request-id", "apim-request-id")


class HTTPModel(Model):
    """A model that is asked over HTTP.

    A request that fails raises ModelHTTPError for an error status, ModelAPIError when the connection fails or breaks,
    and UnexpectedModelBehavior for an answer that cannot be understood.
    """

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[httpx.AsyncClient],
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        super().__init__(settings=settings, profile=profile or provider.model_profile)
        self._model_name = model_name
        self._provider = provider

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def system(self) -> str:
        return self._provider.name

    @property
    def base_url(self) -> str:
        return self._provider.base_url

    @property
    def client(self) -> httpx.AsyncClient:
        """The HTTP client of the running event loop."""
        return self._provider.client

    async def _ask(
        self, path: str, body: Mapping[str, Any], settings: ModelSettings, *, headers: Mapping[str, str] | None = None
    ) -> str:
        """Post a body to a path below the base URL and read the whole answer."""
        async with self._sent(path, body, settings, headers=headers) as response:
            return await self._read(response)

    async def _read(self, response: httpx.Response) -> str:
        try:
            return (await response.aread()).decode(errors="replace")
        except httpx.TransportError as err:
            raise _broken_off(self._model_name, f"The answer of {self._model_name} broke off: {describe(err)}") from err

    @asynccontextmanager
    async def _sent(
        self, path: str, body: Mapping[str, Any], settings: ModelSettings, *, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[httpx.Response]:
        """Send a request; the response is open until the block ends, so that leaving it early stops the model."""
        # Escaped, because half a surrogate pair in somebody's text has no UTF-8.
        content = json.dumps(body)
        all_headers = {**(headers or {}), **self._provider.headers, **settings.get("extra_headers", {})}
        endpoint = f"{self._model_name} at {self.base_url}"
        if (pause := await end_of_pause(endpoint)) is not None:
            raise ModelCoolingDown(self._model_name, pause)
        try:
            response = await send_with_retries(
                lambda: self._send(path, content, all_headers, settings.get("timeout")), endpoint=endpoint
            )
        except httpx.TransportError as err:
            raise ModelAPIError(self._model_name, f"Could not reach {self.base_url}: {describe(err)}") from err
        try:
            if not response.is_success:
                raise await self._http_error(response)
            yield response
        finally:
            await response.aclose()

    async def _send(self, path: str, content: str, headers: Mapping[str, str], timeout: float | None) -> httpx.Response:
        base, target = httpx.URL(self.base_url), httpx.URL(path)
        url = base.copy_with(path=base.path.rstrip("/") + target.path).copy_merge_params(target.params)
        request = self.client.build_request(
            "POST",
            url,
            content=content,
            headers={"Content-Type": "application/json", **headers},
            timeout=httpx.USE_CLIENT_DEFAULT if timeout is None else timeout,
        )
        return await self.client.send(request, stream=True)

    async def _http_error(self, response: httpx.Response) -> ModelHTTPError:
        try:
            text = self._provider.redact((await response.aread()).decode(errors="replace"))
        except httpx.TransportError:
            text = ""
        headers = response.headers
        request_id = next((str(headers[name]) for name in _REQUEST_ID_HEADERS if name in headers), None)
        error = ModelHTTPError(response.status_code, self._model_name, error_body(text, request_id))
        if (pause := await asked_pause(response)) is not None:
            error.retry_at = now_utc() + timedelta(seconds=pause)
        return error

    async def __aenter__(self) -> Self:
        await self._provider.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._provider.__aexit__(exc_type, exc, tb)


@dataclass
class HTTPStreamedResponse(StreamedResponse):
    """An answer in server-sent events that is still being read."""

    http_response: httpx.Response
    requested_model: str
    provider: str
    url: str
    started_at: datetime = field(default_factory=now_utc)
    _model_name: str | None = field(default=None, init=False)
    _ended: bool = field(default=False, init=False)
    """Whether the answer has said that it is complete; subclasses tell it by the API's own end marker."""

    async def _data(self) -> AsyncGenerator[str]:
        """The data of each event, until the stream ends. ModelAPIError if it ends before the answer is complete."""
        try:
            async with aclosing(self._with_patience()) as events:
                async for data in events:
                    yield data
        except httpx.TransportError as err:
            # Once the answer has said that it is finished, a rough goodbye loses at most the usage.
            if not self._ended:
                raise _broken_off(
                    self.requested_model, f"The stream of {self.requested_model} broke off: {describe(err)}"
                ) from err
        if not self._ended and not self.cancelled:
            raise _broken_off(
                self.requested_model, f"The stream of {self.requested_model} ended before the answer was complete"
            )

    async def _with_patience(self) -> AsyncGenerator[str]:
        """The data of each event. The connection's own timeout does not see a server that only sends signs of life."""
        timeouts: Mapping[str, float | None] = self.http_response.request.extensions.get("timeout", {})
        seconds = timeouts.get("read")
        with Patience(seconds) as patience:
            async with aclosing(self._server_sent()) as events:
                try:
                    while (data := await patience.wait(anext(events, None))) is not None:
                        if not self._is_sign_of_life(data):
                            patience.renew()
                        yield data
                except TimeoutError as err:
                    raise _broken_off(
                        self.requested_model, f"The stream of {self.requested_model} said nothing for {seconds:g} s"
                    ) from err

    def _is_sign_of_life(self, data: str) -> bool:
        """Whether an event only says that the server is still there."""
        return False

    async def _server_sent(self) -> AsyncGenerator[str]:
        try:
            async with aclosing(EventSource(self.http_response).aiter_sse()) as events:
                async for event in events:
                    if event.data:
                        yield event.data
        except SSEError as err:
            text = (await self.http_response.aread()).decode(errors="replace")
            read_json(text, self.requested_model)  # an error object tells more than the content type
            raise UnexpectedModelBehavior(f"{self.requested_model} did not answer with a stream", text[:2000]) from err

    @property
    def model_name(self) -> str:
        return self._model_name or self.requested_model

    @property
    def provider_name(self) -> str:
        return self.provider

    @property
    def provider_url(self) -> str:
        return self.url

    @property
    def timestamp(self) -> datetime:
        return self.started_at

    async def close_stream(self) -> None:
        await self.http_response.aclose()


def is_event_stream(response: httpx.Response) -> bool:
    """Whether an answer comes in server-sent events."""
    return "text/event-stream" in response.headers.get("content-type", "")


def _broken_off(model_name: str, message: str) -> ModelAPIError:
    """An answer that began and did not end. Asking again is right, but not unasked: it costs, and what came is void."""
    error = ModelAPIError(model_name, message)
    error.retry_at = now_utc()
    return error


def describe(err: httpx.TransportError) -> str:
    """What went wrong with a connection; httpx often leaves the message empty."""
    return f"{type(err).__name__}{f': {err}' if str(err) else ''}"
