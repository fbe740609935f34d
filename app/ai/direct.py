"""Asking a model without an agent."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from app.ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from app.ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse, infer_model
from app.ai.own_loop import run_on_own_loop
from app.ai.settings import ModelSettings
from app.ai.sync_stream import LoopHost
from app.ai.usage import RequestUsage

if TYPE_CHECKING:
    from app.ai.instrumentation.settings import InstrumentationSettings

__all__ = (
    "StreamedResponseSync",
    "model_request",
    "model_request_stream",
    "model_request_stream_sync",
    "model_request_sync",
)


async def model_request(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: InstrumentationSettings | bool | None = None,
) -> ModelResponse:
    """Ask a model once and wait for the whole answer. `instrument` makes a span of it."""
    asked = _instrumented(model, instrument)
    prepared = asked.prepare_messages(list(messages))
    return await asked.request(prepared, model_settings, model_request_parameters or ModelRequestParameters())


def model_request_sync(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: InstrumentationSettings | bool | None = None,
) -> ModelResponse:
    """`model_request` without async."""

    async def ask_and_close() -> ModelResponse:
        # This loop ends with the request, so connections must not outlive it.
        async with _instrumented(model, instrument) as asked:
            return await model_request(
                asked,
                messages,
                model_settings=model_settings,
                model_request_parameters=model_request_parameters,
            )

    return run_on_own_loop(ask_and_close())


def model_request_stream(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: InstrumentationSettings | bool | None = None,
) -> AbstractAsyncContextManager[StreamedResponse]:
    """Ask a model once and read the answer as it comes. `instrument` makes a span of it."""
    asked = _instrumented(model, instrument)
    prepared = asked.prepare_messages(list(messages))
    return asked.request_stream(prepared, model_settings, model_request_parameters or ModelRequestParameters())


def model_request_stream_sync(
    model: Model | KnownModelName | str,
    messages: Sequence[ModelMessage],
    *,
    model_settings: ModelSettings | None = None,
    model_request_parameters: ModelRequestParameters | None = None,
    instrument: InstrumentationSettings | bool | None = None,
) -> StreamedResponseSync:
    """`model_request_stream` without async: a context manager around an iterator of events."""
    return StreamedResponseSync(_instrumented(model, instrument), messages, model_settings, model_request_parameters)


class StreamedResponseSync:
    """A response that is read without async. Enter it as a context manager before reading."""

    def __init__(
        self,
        model: Model,
        messages: Sequence[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters | None,
    ):
        self._model = model
        self._messages = messages
        self._settings = model_settings
        self._parameters = model_request_parameters
        self._host: LoopHost[StreamedResponse] | None = None

    def __enter__(self) -> Self:
        self._host = LoopHost(self._open)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._entered.close()

    def __iter__(self) -> Iterator[ModelResponseStreamEvent]:
        return self._entered.iterate(aiter(self._entered.value))

    @property
    def response(self) -> ModelResponse:
        """The response as it is by now."""
        return self.get()

    def get(self) -> ModelResponse:
        """The response as it is by now."""
        return self._entered.value.get()

    def usage(self) -> RequestUsage:
        """The usage as far as it is known by now."""
        return self._entered.value.usage()

    @property
    def model_name(self) -> str:
        """The model's name, as the response tells it."""
        return self._entered.value.model_name

    @property
    def timestamp(self) -> datetime:
        """When the response was made."""
        return self._entered.value.timestamp

    @property
    def _entered(self) -> LoopHost[StreamedResponse]:
        if self._host is None:
            raise RuntimeError("Enter the stream first: `with model_request_stream_sync(...) as stream`")
        return self._host

    @asynccontextmanager
    async def _open(self) -> AsyncGenerator[StreamedResponse]:
        stream = model_request_stream(
            self._model,
            self._messages,
            model_settings=self._settings,
            model_request_parameters=self._parameters,
        )
        async with self._model, stream as response:
            yield response


def _instrumented(model: Model | KnownModelName | str, instrument: InstrumentationSettings | bool | None) -> Model:
    if instrument is None:
        from app.ai.agent import Agent  # nothing else here needs agents

        instrument = Agent.instrument_default
    if not instrument:
        return infer_model(model)
    from app.ai.models.instrumented import instrument_model  # brings OpenTelemetry

    return instrument_model(infer_model(model), instrument)
