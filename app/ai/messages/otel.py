"""How a message's parts are told to OpenTelemetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.ai.instrumentation.settings import InstrumentationSettings


def otel_message_parts(self: Any, settings: InstrumentationSettings) -> list[dict[str, Any]]:
    """The parts in the form of OpenTelemetry's conventions for generative AI, with what the settings allow of it."""
    from app.ai.instrumentation.messages import MessageFormat  # brings OpenTelemetry

    return MessageFormat(settings).parts_of(self)
