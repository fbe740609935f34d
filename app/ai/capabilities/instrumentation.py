"""Instrumentation as a capability."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.run_context import AgentDepsT

if TYPE_CHECKING:
    from app.ai.instrumentation.settings import InstrumentationSettings


def _default_settings() -> InstrumentationSettings:
    from app.ai.instrumentation.settings import InstrumentationSettings  # brings OpenTelemetry

    return InstrumentationSettings()


@dataclass
class Instrumentation(AbstractCapability[AgentDepsT]):
    """Tells runs to OpenTelemetry."""

    settings: InstrumentationSettings = field(default_factory=_default_settings)

    @classmethod
    def from_spec(cls, settings: Any = None, **options: Any) -> Instrumentation[Any]:
        """The options are those of `InstrumentationSettings`."""
        from app.ai.instrumentation.settings import InstrumentationSettings  # brings OpenTelemetry

        given: dict[str, Any] = {**(settings or {}), **options}
        return cls(InstrumentationSettings(**given))
