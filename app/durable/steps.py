"""`Steps` of a durable run: model requests, tool calls and users' callbacks as recorded steps. [replay-sensitive]

model_request   durable: one step holds preparing, asking and streaming
reserve         draws the numbers of a batch of tool calls before any of them starts
wrap_toolset    puts `DurableToolset` around every leaf
callback        system prompt and output functions
sent_messages   a step only where somebody has sent the run something
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TypeVar

from dbos import StepReservation
from pydantic import TypeAdapter

from app.ai.exceptions import ModelRetry
from app.ai.instrumentation.marks import within_step
from app.ai.mcp.sampling import Sampling
from app.ai.messages import AgentStreamEvent, ModelResponse, PartEndEvent, PartStartEvent, ToolCallPart
from app.ai.models import Model
from app.ai.models.handles import use_handles
from app.ai.pending import PendingMessage
from app.ai.run_context import RunContext
from app.ai.run_state import GraphAgentState
from app.ai.steps import PreparedRequest, Steps, use_steps
from app.ai.tools import ToolDefinition
from app.ai.toolsets import AbstractToolset
from app.db.attempts import AttemptKey
from app.durable import envelopes, names
from app.durable.costs import cost_usd
from app.durable.events import StepEvents
from app.durable.handles import AttemptHandles
from app.durable.journal import Envelope, Journal, StepPlan, failure_of
from app.durable.pauses import retry_later
from app.durable.sent_messages import take_sent
from app.durable.serializer import to_json

T = TypeVar("T")

_live_events: ContextVar[StepEvents | None] = ContextVar("_live_events", default=None)


async def follow_model(_ctx: RunContext[Any], stream: AsyncIterable[AgentStreamEvent]) -> None:
    """The event stream handler of a durable run: events of the model step in progress become run events.

    Events of the tool phase pass by unused: tool steps write their own, so that a replay repeats none.
    """
    events = _live_events.get()
    async for event in stream:
        if events is not None:
            events.emit_stream_event(event)


class DurableSteps(Steps):
    """Performs and records what one execution of a run does."""

    records = True
    may_wait = True

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.run_id = journal.run_id
        self.listed_tools: dict[str, Envelope] = {}
        self.tools: dict[str, ToolDefinition] = {}
        self.repetitions: dict[str, str] = {}
        self.sampling: dict[str, Sampling | None] = {}
        self._reserved: dict[str, StepReservation] = {}

    async def model_request(
        self,
        ctx: RunContext[Any],
        prepare: Callable[[], Awaitable[PreparedRequest]],
        send: Callable[[PreparedRequest], Awaitable[ModelResponse]],
    ) -> tuple[PreparedRequest, ModelResponse]:
        """One model step; on replay both the request and the response come from its record."""
        plan = StepPlan(self.journal.reserve(), names.MODEL_STEP, "model", head={"model": ctx.model.model_name})
        prepared: list[PreparedRequest] = []

        async def ask(events: StepEvents) -> Envelope:
            request = await prepare()
            prepared.append(request)
            plan.head["request"] = envelopes.request_json(request, ctx.messages)
            with _live(events), within_step(plan.step, events.attempt), self._asking(plan, events):
                response = await send(request)
            if not self.streams(ctx.model):
                _emit_parts(events, response)
            retry = {} if request.retry is None else {"retry": request.retry}
            return {**await _answered(response), **retry}

        envelope = await self.journal.perform(plan, ask)
        if (failure := failure_of(envelope)) is not None:
            raise failure
        request = prepared[0] if prepared else envelopes.read_request(envelope["request"], ctx.messages)
        request.retry = envelope.get("retry")
        return request, envelopes.read_response(envelope["response"])

    async def sample(self, call: ToolCallPart, request: dict[str, Any]) -> ModelResponse:
        """Let the model answer what the server of a deferred call asked it, as a step of its own."""
        sampling = self.sampling[call.tool_call_id]
        assert sampling is not None, "a call is deferred for a model's answer only if there is a model"
        head = {"tool": call.tool_name, "tool_call_id": call.tool_call_id, "request": request}
        plan = StepPlan(self.journal.reserve(), names.sampling_step(call.tool_name), "sampling", head=head)

        async def ask(events: StepEvents) -> Envelope:
            with self._asking(plan, events):
                response = await sampling.ask(envelopes.read_sampling_request(request))
            return await _answered(response)

        envelope = await self.journal.perform(plan, ask)
        if (failure := failure_of(envelope)) is not None:
            raise failure
        return envelopes.read_response(envelope["response"])

    @contextmanager
    def _asking(self, plan: StepPlan, events: StepEvents) -> Generator[None]:
        """Keep the handle of the request inside the block, and let the run wait where its provider wants so."""
        attempt = AttemptKey(self.journal.run_id, events.step, events.attempt)
        with use_handles(AttemptHandles(self.journal.instruments.engine, attempt)):
            try:
                yield
            except Exception as error:
                if (later := retry_later(error, plan.step, events.attempt)) is None:
                    raise
                raise later from error

    def streams(self, model: Model) -> bool:
        """A model that cannot stream is asked for the whole answer; its events follow at once."""
        return model.can_stream

    def reserve(self, calls: Sequence[ToolCallPart]) -> None:
        for call in calls:
            self._reserved[call.tool_call_id] = self.journal.reserve()

    def reserved(self, tool_call_id: str | None) -> StepReservation:
        """The step number that was drawn for a tool call."""
        if tool_call_id in self._reserved:
            return self._reserved.pop(tool_call_id)
        return self.journal.reserve()

    def idempotency_key(self, plan: StepPlan) -> str:
        """What the tool may tell repeated calls by: made of the step, or a new one when a person let it run again."""
        repetition = self.repetitions.pop(plan.tool_call_id or "", None)
        return repetition or f"{self.run_id}:{plan.step}"

    async def sent_messages(self, state: GraphAgentState, *, ending: bool) -> list[PendingMessage]:
        return await take_sent(self.journal, state, ending=ending)

    def wrap_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        from app.durable.toolset import KnownTools, durable_toolset  # they need DurableSteps itself

        return KnownTools(toolset.visit_and_replace(lambda leaf: durable_toolset(leaf, self)), self)

    async def callback(self, name: str, result_type: Any, body: Callable[[], Awaitable[T]]) -> T:
        """Record what a user's function answered, as JSON of `result_type`."""
        kind = "output" if name.startswith("output:") else "callback"
        plan = StepPlan(self.journal.reserve(), name, kind)
        adapter = adapter_of(result_type)

        async def call(events: StepEvents) -> Envelope:
            try:
                with use_steps(Steps()), within_step(plan.step, events.attempt):
                    value = await body()
            except ModelRetry as retry:
                return envelopes.control_flow(retry)
            return {"outcome": "returned", "result": to_json(adapter.dump_python(value, mode="json"))}

        envelope = await self.journal.perform(plan, call)
        if (failure := failure_of(envelope)) is not None:
            raise failure
        if envelope["outcome"] == "retry":
            raise ModelRetry(envelope["result"])
        return adapter.validate_python(envelope["result"])


def adapter_of(type_: Any) -> TypeAdapter[Any]:
    """The adapter of a type, made once."""
    try:
        # Unions in another order are equal types, but not the same to validate.
        return _adapter_of(type_, repr(type_))
    except TypeError:  # a type may be unhashable
        return TypeAdapter(type_)


@lru_cache(maxsize=256)
def _adapter_of(type_: Any, _name: str) -> TypeAdapter[Any]:
    return TypeAdapter(type_)


async def _answered(response: ModelResponse) -> Envelope:
    cost = await cost_usd(response)
    answered = {"outcome": "returned", "response": envelopes.response_json(response)}
    return answered if cost is None else {**answered, "cost_usd": cost}


def _emit_parts(events: StepEvents, response: ModelResponse) -> None:
    for index, part in enumerate(response.parts):
        events.emit_stream_event(PartStartEvent(index=index, part=part))
        events.emit_stream_event(PartEndEvent(index=index, part=part))


@contextmanager
def _live(events: StepEvents) -> Generator[None]:
    token = _live_events.set(events)
    try:
        yield
    finally:
        _live_events.reset(token)
