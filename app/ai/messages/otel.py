"""How a message's parts are told to OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord

    from app.ai.instrumentation.settings import InstrumentationSettings


def otel_message_parts(self: Any, settings: InstrumentationSettings) -> list[dict[str, Any]]:
    """The parts in the form of OpenTelemetry's conventions for generative AI, with what the settings allow of it."""
    from app.ai.instrumentation.messages import MessageFormat  # brings OpenTelemetry

    return MessageFormat(settings).parts_of(self)


def otel_event(self: Any, settings: InstrumentationSettings) -> LogRecord:
    """The part as an event of OpenTelemetry's older conventions, which instrumentation version 1 uses."""
    from app.ai.instrumentation.events import part_event  # brings OpenTelemetry

    return part_event(self, settings)


def otel_events(self: Any, settings: InstrumentationSettings) -> list[LogRecord]:
    """The response as events of OpenTelemetry's older conventions, which instrumentation version 1 uses."""
    from app.ai.instrumentation.events import response_events  # brings OpenTelemetry

    return response_events(self, settings)
