"""Which spans and metrics are made, and what they may contain."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, cast, get_args

from opentelemetry import baggage
from opentelemetry._logs import Logger, LogRecord, get_logger_provider
from opentelemetry.metrics import MeterProvider, get_meter_provider
from opentelemetry.trace import Span, StatusCode, TracerProvider, get_tracer_provider
from pydantic_core import to_json, to_jsonable_python

from app.ai.exceptions import UserError
from app.ai.instrumentation.marks import ATTEMPT, STEP
from app.ai.run_context import DEFAULT_INSTRUMENTATION_VERSION

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from app.ai.messages import ModelMessage
    from app.ai.models import ModelRequestParameters

InstrumentationVersion = Literal[1, 2, 3, 4, 5]

SCOPE: Final = "app.ai"
BAGGAGE: Final = ("gen_ai.agent.name", "gen_ai.agent.call.id", "gen_ai.conversation.id")
"""What a run tells to all spans below its own; a durable step adds its number and attempt."""

_TOKEN_BUCKETS: Final = tuple(4**exponent for exponent in range(14))


class InstrumentationSettings:
    """Which spans and metrics are made, and what they may contain.

    Version 1 has messages as events, 2 as attributes of spans, 3 new names of spans, 4 the conventions for images and
    other files, 5 leaves the status of a deferred tool call alone.
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

        `event_mode` and `logger_provider` say where the events of version 1 go, with a warning for other versions.
        """
        if version not in get_args(InstrumentationVersion):
            raise UserError(f"There is no instrumentation version {version}; use 1, 2, 3, 4 or 5")
        if event_mode == "logs" and version != 1:
            warnings.warn(
                "Events as logs belong to instrumentation version 1, which is used now; "
                "from 2 on messages are attributes",
                stacklevel=2,
            )
            version = 1
        self.include_binary_content = include_binary_content
        self.include_content = include_content
        self.version: InstrumentationVersion = version
        self.use_aggregated_usage_attribute_names = use_aggregated_usage_attribute_names
        self.event_mode: Literal["attributes", "logs"] = event_mode
        self._logger_provider = logger_provider
        self.tracer = (tracer_provider or get_tracer_provider()).get_tracer(SCOPE)
        self.meter = (meter_provider or get_meter_provider()).get_meter(SCOPE)
        self.tokens_histogram = self.meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens used by requests to models",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        )
        self.cost_histogram = self.meter.create_histogram(
            "operation.cost", unit="{USD}", description="What requests to models cost"
        )

    @cached_property
    def logger(self) -> Logger:
        """Where the events of version 1 go in the mode `logs`."""
        return (self._logger_provider or get_logger_provider()).get_logger(SCOPE)

    def messages_to_otel_events(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters | None = None
    ) -> list[LogRecord]:
        """Messages as the events of version 1."""
        from app.ai.instrumentation.events import events_of  # nobody needs them in other versions

        return events_of(messages, self, parameters)

    def messages_to_otel_messages(self, messages: list[ModelMessage]) -> list[dict[str, Any]]:
        """Messages as the attributes of later versions have them."""
        from app.ai.instrumentation.messages import MessageFormat  # knows of these settings

        return MessageFormat(self).messages(messages)


def as_attribute(value: Any) -> str:
    """A value as the text of an attribute: JSON, unless it is text already."""
    if isinstance(value, str):
        return value
    return json.dumps(_as_json(value), ensure_ascii=False)


def as_compact_attribute(value: Any, settings: InstrumentationSettings) -> str:
    """The same as the model would write it, without spaces, and without files if the settings leave them out."""
    return value if isinstance(value, str) else to_json(as_data(value, settings)).decode()


def as_data(value: Any, settings: InstrumentationSettings) -> Any:
    """A value as plain data, with what the settings allow of files."""
    data = _as_json(value)
    return data if settings.include_binary_content else _without_files(data)


def _as_json(value: Any) -> Any:
    return to_jsonable_python(value, serialize_unknown=True, bytes_mode="base64")


def _without_files(data: Any) -> Any:
    if isinstance(data, list):
        return [_without_files(item) for item in cast("list[Any]", data)]
    if not isinstance(data, dict):
        return data
    fields = cast("dict[str, Any]", data)
    hidden = {"data"} if fields.get("kind") == "binary" else set[str]()
    return {name: _without_files(item) for name, item in fields.items() if name not in hidden}


def attributes_of_run() -> dict[str, AttributeValue]:
    """The names and ids of the run and step around this code, as far as there are any."""
    found = {key: baggage.get_baggage(key) for key in (*BAGGAGE, STEP, ATTEMPT)}
    return {key: value for key, value in found.items() if isinstance(value, str | int)}


def tell_error(span: Span, error: BaseException) -> None:
    """Let a span end as failed."""
    span.record_exception(error, escaped=True)
    span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {error}")


def schema_attribute(*, arrays: Iterable[str] = (), objects: Iterable[str] = (), plain: Iterable[str] = ()) -> str:
    """Tells Logfire which attributes are JSON."""
    properties: dict[str, Any] = {name: {"type": "array"} for name in arrays}
    properties |= {name: {"type": "object"} for name in objects}
    properties |= {name: {} for name in plain}
    return json.dumps({"type": "object", "properties": properties})
