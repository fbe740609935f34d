"""Metrics for Prometheus.

The numbers come from the database at each scrape and not from counters in processes: every API process tells the same
about all workers, and a killed process takes nothing with it. Beside them, each API process tells of itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.db.metrics import Sample
from app.durable.names import STEP_KINDS, WAIT_KINDS

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


@dataclass(frozen=True)
class _Gauge:
    name: str
    help: str
    label: str | None = None
    values: Sequence[str] = ()
    """The values of the label that are always shown, zero if nothing was found."""

    def family(self, samples: Iterable[Sample]) -> GaugeMetricFamily:
        """What Prometheus reads about this one."""
        found = {sample.label: sample.value for sample in samples if sample.name == self.name}
        family = GaugeMetricFamily(f"holdfast_{self.name}", self.help, labels=[self.label] if self.label else None)
        for value in self.values if self.label else [None]:
            family.add_metric([value] if value else [], found.get(value, 0))
        return family


_GAUGES: Final = (
    _Gauge("runs", "Unfinished runs.", "status", ("queued", "running", "waiting")),
    _Gauge("queue_age_seconds", "How long the longest queued run has waited for a worker."),
    _Gauge("runs_taken_over", "Running runs that more than one worker has begun."),
    _Gauge("takeovers_last_minute", "Runs that a worker took over from one that had died or stopped."),
    _Gauge("runs_finished_last_minute", "Runs that ended.", "status", ("succeeded", "failed", "cancelled")),
    _Gauge("steps_finished_last_minute", "Steps that were recorded.", "kind", STEP_KINDS),
    _Gauge("tokens_last_minute", "Tokens of the recorded model steps.", "direction", ("input", "output")),
    _Gauge("questions_open", "Tool calls that runs wait for.", "kind", WAIT_KINDS),
    _Gauge("workers", "Workers with a heartbeat in the last ten seconds."),
    _Gauge("followers", "Clients that follow a run at this process."),
)


class _Samples(Collector):
    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """All gauges, those without a sample too."""
        return [gauge.family(self._samples) for gauge in _GAUGES]


def render(samples: Sequence[Sample]) -> str:
    """The metrics as Prometheus reads them."""
    registry = CollectorRegistry()
    registry.register(_Samples(samples))
    ProcessCollector(registry=registry)
    return generate_latest(registry).decode()
