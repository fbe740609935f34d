"""A model whose requests are spans."""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from opentelemetry._logs import LogRecord
from opentelemetry.trace import Span, SpanKind, get_current_span

from app.ai.instrumentation.events import as_dict, choice_event, events_attribute
from app.ai.instrumentation.messages import MessageFormat
from app.ai.instrumentation.settings import (
    DEFAULT_INSTRUMENTATION_VERSION,
    InstrumentationSettings,
    InstrumentationVersion,
    as_attribute,
    attributes_of_run,
    schema_attribute,
    tell_error,
)
from app.ai.messages import ModelMessage, ModelResponse
from app.ai.models import KnownModelName, Model, ModelRequestParameters, StreamedResponse
from app.ai.models.wrapper import WrapperModel
from app.ai.run_context import RunContext
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition

if TYPE_CHECKING:
    from genai_prices.types import PriceCalculation
    from opentelemetry.util.types import AttributeValue

__all__ = (
    "DEFAULT_INSTRUMENTATION_VERSION",
    "CostCalculationFailedWarning",
    "InstrumentationSettings",
    "InstrumentationVersion",
    "InstrumentedModel",
    "instrument_model",
)

_SETTINGS_TOLD: Final = (
    "max_tokens",
    "top_p",
    "seed",
    "temperature",
    "presence_penalty",
    "frequency_penalty",
)


class CostCalculationFailedWarning(Warning):
    """The price of a response could not be calculated."""


def instrument_model(model: Model, instrument: InstrumentationSettings | bool) -> Model:
    """The model with a span for each request; as it is if it is instrumented already, or if `instrument` is False."""
    inner = model
    while isinstance(inner, WrapperModel) and not isinstance(inner, InstrumentedModel):
        inner = inner.wrapped
    if isinstance(inner, InstrumentedModel) or instrument is False:
        return model
    return InstrumentedModel(model, InstrumentationSettings() if instrument is True else instrument)


class InstrumentedModel(WrapperModel):
    """Makes a span for each request to `wrapped`, and counts its tokens in `gen_ai.client.token.usage`."""

    def __init__(self, wrapped: Model | KnownModelName | str, options: InstrumentationSettings | None = None):
        super().__init__(wrapped)
        self.instrumentation_settings = options or InstrumentationSettings()

    @staticmethod
    def event_to_dict(event: LogRecord) -> dict[str, Any]:
        """An event of version 1 as plain data."""
        return as_dict(event)

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        with self._request_span(messages, model_settings, model_request_parameters) as span:
            span.response = await self.wrapped.request(messages, model_settings, model_request_parameters)
        return span.response

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        with self._request_span(messages, model_settings, model_request_parameters) as span:
            async with self.wrapped.request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                try:
                    yield stream
                finally:
                    # What came until the reader stopped, or the provider did.
                    span.response = stream.get()
                    # Whoever reads in another task was told of the failure; here there is none, or a cancellation.
                    if stream.failure is not None and sys.exception() is not stream.failure:
                        tell_error(get_current_span(), stream.failure)

    @contextmanager
    def _request_span(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        parameters: ModelRequestParameters,
    ) -> Generator[_RequestSpan]:
        settings = self.instrumentation_settings
        prepared_settings, parameters = self.wrapped.prepare_request(model_settings, parameters)
        # Instructions are content, and have an attribute of their own.
        attributes = _request_attributes(self.wrapped, prepared_settings, replace(parameters, instruction_parts=None))
        request = _RequestSpan()
        try:
            name = f"chat {self.wrapped.model_name}"
            with settings.tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes) as span:
                try:
                    yield request
                finally:
                    if span.is_recording():
                        # A model that stands for several has told by now which one it asked.
                        told: dict[str, AttributeValue] = dict(getattr(span, "attributes", None) or {})
                        attributes = {**attributes, **told}
                        span.update_name(f"chat {attributes['gen_ai.request.model']}")
                        self._describe(span, attributes, messages, parameters, request)
        finally:
            # After the span, so that its exemplar is complete.
            if request.response is not None:
                _count_usage(settings, attributes, request.response, request.price)

    def _describe(
        self,
        span: Span,
        started: Mapping[str, AttributeValue],
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        request: _RequestSpan,
    ) -> None:
        response = request.response
        if response is not None:
            span.set_attributes(_response_attributes(self.wrapped, response, request.price))
        if self.instrumentation_settings.version == 1:
            content = self._events(span, started, messages, parameters, response)
        else:
            content = self._messages(messages, parameters, response)
        definitions = ["gen_ai.tool.definitions"] if "gen_ai.tool.definitions" in started else []
        schema = schema_attribute(arrays=[*content, *definitions], objects=["model_request_parameters"])
        span.set_attributes({**content, "logfire.json_schema": schema})

    def _messages(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters, response: ModelResponse | None
    ) -> dict[str, AttributeValue]:
        told = MessageFormat(self.instrumentation_settings)
        content: dict[str, AttributeValue] = {"gen_ai.input.messages": as_attribute(told.messages(messages))}
        if response is not None:
            content["gen_ai.output.messages"] = as_attribute([told.response(response)])
        if instructions := self.wrapped.get_instructions(messages, parameters):
            content["gen_ai.system_instructions"] = as_attribute(told.instructions(instructions))
        return content

    def _events(
        self,
        span: Span,
        started: Mapping[str, AttributeValue],
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        response: ModelResponse | None,
    ) -> dict[str, AttributeValue]:
        settings = self.instrumentation_settings
        events = settings.messages_to_otel_events(messages, parameters)
        if response is not None:
            events.append(choice_event(response, settings))
        for event in events:
            event.attributes = {**(event.attributes or {}), "gen_ai.system": started["gen_ai.system"]}
        if settings.event_mode == "attributes":
            return {"events": events_attribute(events)}
        context = span.get_span_context()
        for event in events:
            event.trace_id, event.span_id, event.trace_flags = context.trace_id, context.span_id, context.trace_flags
            settings.logger.emit(event)
        return {}


class _RequestSpan:
    """A request under way."""

    response: ModelResponse | None = None

    @cached_property
    def price(self) -> PriceCalculation | None:
        """What the response cost, if its model has a known price."""
        response = self.response
        if response is None or not response.model_name or not response.usage.has_values():
            return None
        try:
            return response.cost()
        except (LookupError, ValueError):
            return None
        except Exception as error:
            # What a run costs is worth a warning, not the run.
            warnings.warn(
                f"The cost of a response is unknown: {type(error).__name__}: {error}",
                CostCalculationFailedWarning,
                stacklevel=2,
            )
            return None


def _request_attributes(
    model: Model, settings: ModelSettings | None, parameters: ModelRequestParameters
) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.operation.name": "chat",
        **_model_attributes(model),
        **attributes_of_run(),
        "model_request_parameters": as_attribute(parameters),
    }
    if tools := [_tool_definition(tool) for tool in parameters.tool_defs.values()]:
        attributes["gen_ai.tool.definitions"] = as_attribute(tools)
    for name in _SETTINGS_TOLD:
        if isinstance(value := (settings or {}).get(name), int | float):
            attributes[f"gen_ai.request.{name}"] = value
    return attributes


def _tool_definition(tool: ToolDefinition) -> dict[str, Any]:
    described = {} if tool.description is None else {"description": tool.description}
    return {"type": "function", "name": tool.name, **described, "parameters": tool.parameters_json_schema}


def _model_attributes(model: Model) -> dict[str, AttributeValue]:
    return {
        "gen_ai.provider.name": model.system,
        "gen_ai.system": model.system,
        "gen_ai.request.model": model.model_name,
        **_server(model.base_url),
    }


def tell_chosen_model(choosing: Model, chosen: Model, parameters: ModelRequestParameters) -> None:
    """Let the span of a request to a model that stands for several tell which of them answers it."""
    span = get_current_span()
    told: Mapping[str, Any] = getattr(span, "attributes", None) or {}
    if span.is_recording() and told.get("gen_ai.request.model") == choosing.model_name:
        without_instructions = replace(parameters, instruction_parts=None)
        span.set_attributes(
            {**_model_attributes(chosen), "model_request_parameters": as_attribute(without_instructions)}
        )


def _server(base_url: str | None) -> dict[str, AttributeValue]:
    url = urlsplit(base_url or "")
    if not url.hostname:
        return {}
    return {"server.address": url.hostname, **({"server.port": url.port} if url.port else {})}


def _response_attributes(
    model: Model, response: ModelResponse, price: PriceCalculation | None
) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        "gen_ai.response.model": response.model_name or model.model_name,
        **response.usage.opentelemetry_attributes(),
    }
    if response.provider_response_id:
        attributes["gen_ai.response.id"] = response.provider_response_id
    if response.finish_reason:
        attributes["gen_ai.response.finish_reasons"] = [response.finish_reason]
    if price is not None:
        attributes["operation.cost"] = float(price.total_price)
    return attributes


def _count_usage(
    settings: InstrumentationSettings,
    request: Mapping[str, AttributeValue],
    response: ModelResponse,
    price: PriceCalculation | None,
) -> None:
    keys = ("gen_ai.provider.name", "gen_ai.system", "gen_ai.operation.name", "gen_ai.request.model")
    labels = {key: request[key] for key in keys}
    labels["gen_ai.response.model"] = response.model_name or request["gen_ai.request.model"]
    for kind, tokens in (("input", response.usage.input_tokens), ("output", response.usage.output_tokens)):
        if tokens:
            settings.tokens_histogram.record(tokens, {**labels, "gen_ai.token.type": kind})
    if price is not None:
        for kind, cost in (("input", price.input_price), ("output", price.output_price)):
            settings.cost_histogram.record(float(cost), {**labels, "gen_ai.token.type": kind})
