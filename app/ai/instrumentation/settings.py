"""Which spans and metrics are made, and what they may contain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, Literal

from opentelemetry import baggage
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.trace import TracerProvider, get_tracer_provider
from pydantic_core import to_jsonable_python

from app.ai.exceptions import UserError
from app.ai.instrumentation.marks import ATTEMPT, STEP
from app.ai.run_context import DEFAULT_INSTRUMENTATION_VERSION

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

InstrumentationVersion = Literal[1, 2, 3, 4, 5]

SCOPE: Final = "app.ai"
BAGGAGE: Final = ("gen_ai.agent.name", "gen_ai.agent.call.id", "gen_ai.conversation.id")
"""What a run tells to all spans below its own; a durable step adds its number and attempt."""

_TOKEN_BUCKETS: Final = tuple(4**exponent for exponent in range(14))


class InstrumentationSettings:
    """Which spans and metrics are made, and what they may contain.

    Version 2 has messages as attributes of spans, 3 adds thinking and new names of spans, 4 the conventions for
    images and other files, 5 leaves the status of a deferred tool call alone.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        include_binary_content: bool = True,
        include_content: bool = True,
        version: InstrumentationVersion = DEFAULT_INSTRUMENTATION_VERSION,
        event_mode: Literal["attributes", "logs"] = "attributes",
        logger_provider: Any = None,
        use_aggregated_usage_attribute_names: bool = False,
    ):
        """Providers default to those that the program set globally. Without content, the structure stays.

        `event_mode` and `logger_provider` belong to version 1, whose events are no more: `UserError`.
        """
        if version not in (2, 3, 4, 5):
            raise UserError(f"There is no instrumentation version {version} here; use 2, 3, 4 or 5")
        if event_mode == "logs" or logger_provider is not None:
            raise UserError("Events as logs belong to instrumentation version 1; from 2 on messages are attributes")
        self.include_binary_content = include_binary_content
        self.include_content = include_content
        self.version: InstrumentationVersion = version
        self.use_aggregated_usage_attribute_names = use_aggregated_usage_attribute_names
        self.tracer = (tracer_provider or get_tracer_provider()).get_tracer(SCOPE)
        self.tokens_histogram = (
            (meter_provider or get_meter_provider())
            .get_meter(SCOPE)
            .create_histogram(
                "gen_ai.client.token.usage",
                unit="{token}",
                description="Tokens used by requests to models",
                explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
            )
        )


def as_attribute(value: Any) -> str:
    """A value as the text of an attribute: JSON, unless it is text already."""
    if isinstance(value, str):
        return value
    return json.dumps(to_jsonable_python(value, serialize_unknown=True), ensure_ascii=False)


def attributes_of_run() -> dict[str, AttributeValue]:
    """The names and ids of the run and step around this code, as far as there are any."""
    found = {key: baggage.get_baggage(key) for key in (*BAGGAGE, STEP, ATTEMPT)}
    return {key: value for key, value in found.items() if isinstance(value, str | int)}


def schema_attribute(attributes: dict[str, AttributeValue]) -> str:
    """Tells Logfire which of the attributes are JSON."""
    parsed = {key: {"type": _json_type(value)} for key, value in attributes.items() if _json_type(value)}
    return json.dumps({"type": "object", "properties": parsed})


def _json_type(value: AttributeValue) -> str | None:
    if not isinstance(value, str):
        return None
    return {"{": "object", "[": "array"}.get(value[:1])
