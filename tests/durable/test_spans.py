"""Which step of a durable run a span belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.ai import Agent, InstrumentationSettings, TextOutput
from app.ai.messages import ToolCallPart
from app.ai.models.function import FunctionModel
from app.ai.pending import PendingMessage
from app.ai.run_state import GraphAgentState
from app.ai.steps import use_steps
from app.durable.journal import Body, Envelope, Journal, StepPlan
from app.durable.steps import DurableSteps
from tests.ai.scripted import Script


@dataclass
class RecordedJournal:
    """Steps as a journal performs them, with records that outlive an execution."""

    records: dict[int, Envelope]
    run_id: str = "run"
    instruments: Any = field(default_factory=lambda: SimpleNamespace(engine=None))
    drawn: int = field(default=0, init=False)

    def reserve(self) -> Any:
        self.drawn += 1
        return SimpleNamespace(step_id=self.drawn)

    async def perform(self, plan: StepPlan, body: Body) -> Envelope:
        if plan.step not in self.records:
            events: Any = SimpleNamespace(step=plan.step, attempt=2, emit_stream_event=lambda event: None)
            outcome = await body(events)
            self.records[plan.step] = {**plan.head, **outcome, "attempt": 2}
        return self.records[plan.step]


def add(a: int, b: int) -> int:
    return a + b


def shout(text: str) -> str:
    return text.upper()


class UnsentSteps(DurableSteps):
    """Of a run to which nobody sends messages."""

    async def sent_messages(self, state: GraphAgentState, *, ending: bool) -> list[PendingMessage]:
        return []


async def test_spans_tell_step_and_attempt_and_a_replay_asks_nobody() -> None:
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    model = FunctionModel(Script([ToolCallPart("add", {"a": 1, "b": 2}, "call")], "three").answer, model_name="m")
    settings = InstrumentationSettings(tracer_provider=tracers, version=3)
    agent = Agent(model, name="adder", tools=[add], output_type=TextOutput(shout), instrument=settings)

    async def execute() -> list[tuple[str, dict[str, Any]]]:
        exporter.clear()
        with use_steps(UnsentSteps(cast("Journal", RecordedJournal(records)))):
            assert (await agent.run("add")).output == "THREE"
        return [
            (span.name, {key: value for key, value in (span.attributes or {}).items() if key.startswith("holdfast.")})
            for span in exporter.get_finished_spans()
        ]

    records: dict[int, Envelope] = {}
    assert await execute() == [
        ("chat m", {"holdfast.step": 1, "holdfast.attempt": 2}),
        ("execute_tool add", {"holdfast.step": 2, "holdfast.attempt": 2, "holdfast.replayed": False}),
        ("chat m", {"holdfast.step": 3, "holdfast.attempt": 2}),
        ("execute_tool shout", {"holdfast.step": 4, "holdfast.attempt": 2}),
        ("invoke_agent adder", {}),
    ]
    assert await execute() == [
        ("execute_tool add", {"holdfast.step": 2, "holdfast.attempt": 2, "holdfast.replayed": True}),
        ("invoke_agent adder", {}),
    ]
