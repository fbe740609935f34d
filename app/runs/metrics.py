"""Metrics in the text format of Prometheus.

The numbers come from the database at each scrape and not from counters in processes: every API process tells the same
about all workers, and a killed process takes nothing with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.db.metrics import Sample
from app.durable.names import STEP_KINDS, WAIT_KINDS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class _Gauge:
    name: str
    help: str
    label: str | None = None
    values: Sequence[str] = ()
    """The values of the label that are always shown, zero if nothing was found."""


_GAUGES: Final = (
    _Gauge("runs", "Unfinished runs.", "status", ("queued", "running", "waiting")),
    _Gauge("queue_age_seconds", "How long the longest queued run has waited for a worker."),
    _Gauge("runs_taken_over", "Running runs that more than one worker has begun."),
    _Gauge("runs_finished_last_minute", "Runs that ended.", "status", ("succeeded", "failed", "cancelled")),
    _Gauge("steps_finished_last_minute", "Steps that were recorded.", "kind", STEP_KINDS),
    _Gauge("tokens_last_minute", "Tokens of the recorded model steps.", "direction", ("input", "output")),
    _Gauge("questions_open", "Tool calls that runs wait for.", "kind", WAIT_KINDS),
    _Gauge("workers", "Workers with a heartbeat in the last ten seconds."),
    _Gauge("followers", "Clients that follow a run at this process."),
)


def render(samples: Sequence[Sample]) -> str:
    """The metrics as Prometheus reads them."""
    found = {(sample.name, sample.label): sample.value for sample in samples}
    return "".join(f"{line}\n" for gauge in _GAUGES for line in _lines(gauge, found))


def _lines(gauge: _Gauge, found: dict[tuple[str, str | None], float]) -> Iterator[str]:
    name = f"holdfast_{gauge.name}"
    yield f"# HELP {name} {gauge.help}"
    yield f"# TYPE {name} gauge"
    if gauge.label is None:
        yield f"{name} {found.get((gauge.name, None), 0):.15g}"
    for value in gauge.values:
        yield f'{name}{{{gauge.label}="{value}"}} {found.get((gauge.name, value), 0):.15g}'
