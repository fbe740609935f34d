"""Asking a model over HTTP: what all APIs share. What one is asked and how it answers stands in its own package."""

from __future__ import annotations

import asyncio
import json
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Literal, Self, cast

import httpx

from app.ai.exceptions import ModelAPIError, ModelCoolingDown, ModelHTTPError, UnexpectedModelBehavior
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import check_allow_model_requests
from app.ai.models.answers import error_body
from app.ai.models.http_stream import HTTPStreamedResponse, OpenAnswer, WholeStreamedResponse, describe
from app.ai.models.model import Model
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.streamed_response import StreamedResponse
from app.ai.profiles import ModelProfileSpec
from app.ai.providers import Provider, infer_provider
from app.ai.providers.clients import TIMEOUT, USER_AGENT
from app.ai.retries import asked_pause, end_of_pause, send_with_retries
from app.ai.settings import ModelSettings
from app.ai.stamps import now_utc
from app.ai.tools import RunContext

DEADLINE = 1800.0
"""Seconds until the whole answer has to be there, unless the setting `deadline` says otherwise."""

UNSTREAMED_SILENCE = 600.0
"""Seconds that a server may be silent while it makes a whole answer; a streamed one shows sooner that it is alive."""

_REQUEST_ID_HEADERS = ("request-id", "x-request-id", "apim-request-id")


@dataclass(kw_only=True)
class Question:
    """A request of an API: where it goes below the base URL, and what it says."""

    path: str
    body: dict[str, Any]
    """Nothing of it is sent with GET."""
    method: Literal["POST", "GET"] = "POST"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class HTTPModel(Model):
    """A model that is asked over HTTP.

    A request that fails raises ModelHTTPError for an error status, ModelAPIError when the connection fails or breaks,
    and UnexpectedModelBehavior for an answer that cannot be understood.
    """

    default_provider: ClassVar[str]

    def __init__(
        self,
        model_name: str,
        *,
        provider: Provider[httpx.AsyncClient] | str | None = None,
        profile: ModelProfileSpec | None = None,
        settings: ModelSettings | None = None,
    ):
        """A provider may be given by its name; the API's own one is asked if none is given."""
        provider = provider or self.default_provider
        self._provider: Provider[httpx.AsyncClient] = (
            infer_provider(provider) if isinstance(provider, str) else provider
        )
        self._model_name = model_name
        super().__init__(settings=settings, profile=profile or self._provider.served_profile)

    @property
    def model_name(self) -> str:
        return self._model_name

    @property
    def system(self) -> str:
        return self._provider.name

    @property
    def provider(self) -> Provider[httpx.AsyncClient]:
        """Where the model is asked."""
        return self._provider

    @property
    def base_url(self) -> str:
        """Where the provider's API is; who asks, if the URL says it, is kept out of records and errors."""
        url = httpx.URL(self._provider.base_url)
        return str(url.copy_with(userinfo=b"")) if url.userinfo else self._provider.base_url

    @property
    def client(self) -> httpx.AsyncClient:
        """The HTTP client of the running event loop."""
        return self._provider.client

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        check_allow_model_requests()
        settings, parameters = self._prepared(model_settings, model_request_parameters)
        body = await self._whole_body(messages, settings, parameters)
        stream = self._streams_anyway(body)
        async with self._sent(self._question(body, settings, parameters, stream=stream), settings, stream) as answer:
            if not answer.is_stream:
                return self._read(await answer.text())
            async with aclosing(self._streamed(answer, parameters)) as streamed:
                async for _ in streamed:
                    pass
                return streamed.get()

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        check_allow_model_requests()
        settings, parameters = self._prepared(model_settings, model_request_parameters)
        body = await self._whole_body(messages, settings, parameters)
        async with self._sent(self._question(body, settings, parameters, stream=True), settings, True) as answer:
            if answer.is_json:  # an error, or a server that does not stream
                whole = self._read(await answer.text())
                yield WholeStreamedResponse(parameters, whole)
                return
            async with aclosing(self._streamed(answer, parameters)) as streamed:
                yield streamed

    @abstractmethod
    async def _body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        """What is asked."""

    @abstractmethod
    def _question(
        self, body: dict[str, Any], settings: ModelSettings, parameters: ModelRequestParameters, *, stream: bool
    ) -> Question:
        """The request for an answer, whole or streamed."""

    @abstractmethod
    def _to_response(self, text: str) -> ModelResponse:
        """Read a whole answer."""

    @abstractmethod
    def _streamed(self, answer: OpenAnswer, parameters: ModelRequestParameters) -> HTTPStreamedResponse:
        """Read an answer as it comes."""

    def _streams_anyway(self, body: Mapping[str, Any]) -> bool:
        """Whether an answer is better streamed even if it is wanted whole."""
        return False

    def _read(self, text: str) -> ModelResponse:
        try:
            return self._to_response(text)
        except (KeyError, TypeError, AttributeError, ValueError) as err:
            problem = f"{type(err).__name__}: {err}"
            raise UnexpectedModelBehavior(
                f"{self._model_name} answered JSON of a wrong shape ({problem})", text[:2000]
            ) from err

    def _prepared(
        self, model_settings: ModelSettings | None, model_request_parameters: ModelRequestParameters
    ) -> tuple[ModelSettings, ModelRequestParameters]:
        settings, parameters = self.prepare_request(model_settings, model_request_parameters)
        return settings or {}, parameters

    async def _whole_body(
        self, messages: Sequence[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
    ) -> dict[str, Any]:
        body = await self._body(messages, settings, parameters)
        return body | cast("dict[str, Any]", settings.get("extra_body") or {})

    async def _ask(self, question: Question, settings: ModelSettings) -> str:
        """The whole answer to a question that is not for a response."""
        async with self._sent(question, settings, False) as answer:
            return await answer.text()

    @asynccontextmanager
    async def _sent(self, question: Question, settings: ModelSettings, stream: bool) -> AsyncGenerator[OpenAnswer]:
        """Send a request; the answer is open until the block ends, so that leaving it early stops the model."""
        # Escaped, because half a surrogate pair in somebody's text has no UTF-8.
        content = json.dumps(question.body) if question.method == "POST" else None
        headers = {
            "User-Agent": USER_AGENT,
            **question.headers,
            **self._provider.headers,
            **settings.get("extra_headers", {}),
        }
        seconds = settings.get("deadline", DEADLINE)
        deadline = asyncio.get_running_loop().time() + seconds
        timeout = self._timeout(settings, stream)
        endpoint = f"{self._model_name} at {self.base_url}"
        if (pause := await end_of_pause(endpoint)) is not None:
            raise ModelCoolingDown(self._model_name, pause)
        try:
            async with asyncio.timeout_at(deadline):
                response = await send_with_retries(
                    lambda: self._send(question, content, headers, timeout), endpoint=endpoint
                )
        except TimeoutError as err:
            raise ModelAPIError(self._model_name, f"{self.base_url} gave no answer within {seconds:g} s") from err
        except httpx.TransportError as err:
            raise ModelAPIError(self._model_name, f"Could not reach {self.base_url}: {describe(err)}") from err
        answer = OpenAnswer(response, self._model_name, self.system, self.base_url, deadline)
        try:
            if not response.is_success:
                raise await self._http_error(answer)
            yield answer
        finally:
            await response.aclose()

    def _timeout(self, settings: ModelSettings, stream: bool) -> httpx.Timeout:
        if (given := settings.get("timeout")) is not None:
            return httpx.Timeout(given)
        timeout = self.client.timeout
        if stream or timeout != TIMEOUT:  # somebody's own client has its own
            return timeout
        return httpx.Timeout(connect=TIMEOUT.connect, write=TIMEOUT.write, pool=TIMEOUT.pool, read=UNSTREAMED_SILENCE)

    async def _send(
        self, question: Question, content: str | None, headers: Mapping[str, str], timeout: httpx.Timeout
    ) -> httpx.Response:
        base = httpx.URL(self._provider.base_url)
        target = httpx.URL(self._provider.path(question.path, self._model_name))
        url = base.copy_with(path=base.path.rstrip("/") + target.path).copy_merge_params(target.params)
        request = self.client.build_request(
            question.method,
            url,
            content=content,
            headers={"Content-Type": "application/json", **headers},
            timeout=timeout,
        )
        return await self.client.send(request, stream=True)

    async def _http_error(self, answer: OpenAnswer) -> ModelHTTPError:
        try:
            text = self._provider.redact(await answer.text())
        except ModelAPIError:
            text = ""
        response = answer.response
        request_id = next(
            (str(response.headers[name]) for name in _REQUEST_ID_HEADERS if name in response.headers), None
        )
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
