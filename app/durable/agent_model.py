"""A model whose requests are DBOS steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from app.ai.event_stream import EventStreamHandler, drain
from app.ai.exceptions import UserError
from app.ai.history import with_unique_call_ids
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse
from app.ai.models.wrapper import CompletedStreamedResponse, WrapperModel
from app.ai.run_context import RunContext
from app.ai.settings import ModelSettings
from app.durable import names
from app.durable.agent_steps import StepConfig, in_workflow, record_step
from app.durable.envelopes import Envelope, read_response, response_json

if TYPE_CHECKING:
    from app.ai.instrumentation.settings import InstrumentationSettings

run_handler: ContextVar[EventStreamHandler[Any] | None] = ContextVar("run_handler", default=None)
"""Reads the model's events in the run that goes on, instead of the model's own handler."""


class DBOSModel(WrapperModel):
    """Asks `model` in a step when called from a workflow, and plainly anywhere else.

    A replay takes the response from its record. A streamed request is read to its end inside the step, where
    `event_stream_handler` sees its events; what the workflow gets is a stream that is complete already.
    """

    def __init__(
        self,
        model: Model | KnownModelName | str,
        *,
        step_name_prefix: str,
        step_config: StepConfig | None = None,
        event_stream_handler: EventStreamHandler[Any] | None = None,
    ):
        super().__init__(model)
        self.step_name_prefix = step_name_prefix
        self.step_config: StepConfig = step_config or {}
        self.event_stream_handler = event_stream_handler

    def instrumented(self, settings: InstrumentationSettings) -> DBOSModel:
        """The same with spans inside the steps, so that a replay makes none."""
        from app.ai.models.instrumented import instrument_model  # brings OpenTelemetry

        return DBOSModel(
            instrument_model(self.wrapped, settings),
            step_name_prefix=self.step_name_prefix,
            step_config=self.step_config,
            event_stream_handler=self.event_stream_handler,
        )

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        if not in_workflow():
            return await self.wrapped.request(messages, model_settings, model_request_parameters)

        async def ask() -> Envelope:
            return _recordable(await self.wrapped.request(messages, model_settings, model_request_parameters))

        name = names.agent_model_step(self.step_name_prefix, "request")
        return read_response(await record_step(name, self.step_config, ask))

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        def open_stream() -> Any:
            return self.wrapped.request_stream(messages, model_settings, model_request_parameters, run_context)

        if not in_workflow():
            async with open_stream() as stream:
                yield stream
            return
        if run_context is None:
            raise UserError(
                "Inside a workflow a DBOSModel streams only for a run of an agent: "
                "give the DBOSAgent an `event_stream_handler` and use `run`"
            )

        async def ask() -> Envelope:
            handler = run_handler.get() or self.event_stream_handler
            async with open_stream() as stream:
                if handler is not None:
                    await handler(run_context, stream)
                await drain(stream)
                return _recordable(stream.get())

        name = names.agent_model_step(self.step_name_prefix, "request_stream")
        response = read_response(await record_step(name, self.step_config, ask))
        yield CompletedStreamedResponse(model_request_parameters, response)


def _recordable(response: ModelResponse) -> Envelope:
    # Ids that are made up here are recorded, so that a replay knows each call by the same id.
    return response_json(with_unique_call_ids(response))
