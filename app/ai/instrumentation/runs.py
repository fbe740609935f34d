"""Runs as spans."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage, context

from app.ai.instrumentation.events import events_attribute
from app.ai.instrumentation.messages import MessageFormat
from app.ai.instrumentation.settings import BAGGAGE, InstrumentationSettings, as_attribute, schema_attribute
from app.ai.messages import ModelRequest
from app.ai.run import AgentRun

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

_NEW_NAMES = 3


@contextmanager
def run_span(run: AgentRun[Any, Any], settings: InstrumentationSettings) -> Generator[None]:
    """A span around a run; what happens in the run becomes its children."""
    agent, state = run.ctx.deps.agent, run.ctx.state
    name = agent.name or "agent"
    attributes: dict[str, AttributeValue] = {
        "model_name": run.ctx.deps.model.model_name,
        "agent_name": name,
        "gen_ai.agent.name": name,
        "gen_ai.agent.call.id": state.run_id,
        "gen_ai.conversation.id": state.conversation_id,
        "gen_ai.operation.name": "invoke_agent",
        "logfire.msg": f"{name} run",
    }
    if description := _description(run):
        attributes["gen_ai.agent.description"] = description
    history = len(state.message_history)
    with settings.tracer.start_as_current_span(
        f"invoke_agent {name}" if settings.version >= _NEW_NAMES else "agent run", attributes=attributes
    ) as span:
        token = context.attach(_with_baggage(attributes))
        try:
            yield
        finally:
            context.detach(token)
            if span.is_recording():
                _describe(span, run, settings, history)


def _with_baggage(attributes: dict[str, AttributeValue]) -> context.Context:
    current = context.get_current()
    for key in BAGGAGE:
        current = baggage.set_baggage(key, attributes[key], current)
    return current


def _description(run: AgentRun[Any, Any]) -> str | None:
    render = getattr(run.ctx.deps.agent, "render_description", None)
    return render(run.ctx.deps.user_deps) if render is not None else run.ctx.deps.agent.description


def _describe(span: Span, run: AgentRun[Any, Any], settings: InstrumentationSettings, history: int) -> None:
    state = run.ctx.state
    told = MessageFormat(settings)
    arrays, objects = ["pydantic_ai.all_messages"], ["final_result"]
    attributes: dict[str, AttributeValue] = _usage(run, settings)
    if settings.version == 1:
        arrays = ["all_messages_events"]
        attributes["all_messages_events"] = events_attribute(settings.messages_to_otel_events(state.message_history))
    else:
        attributes["pydantic_ai.all_messages"] = as_attribute(told.messages(state.message_history))
    if history:
        attributes["pydantic_ai.new_message_index"] = history
    instructions = _instructions(run)
    if len(instructions) > 1:
        attributes["pydantic_ai.variable_instructions"] = True
    if newest := next(reversed(instructions), None):
        attributes["gen_ai.system_instructions"] = as_attribute(told.instructions(newest))
        arrays.append("gen_ai.system_instructions")
    if run.result is not None and settings.include_content:
        attributes["final_result"] = as_attribute(run.result.output)
    if state.metadata:
        attributes["metadata"] = as_attribute(state.metadata)
    schema = schema_attribute(arrays=arrays, objects=objects, plain=["metadata"] if state.metadata else [])
    span.set_attributes({**attributes, "logfire.json_schema": schema})


def _instructions(run: AgentRun[Any, Any]) -> dict[str | None, None]:
    """What the requests of this run told the model, each once, in order."""
    requests = (message for message in run.ctx.state.message_history if isinstance(message, ModelRequest))
    return {request.instructions: None for request in requests if request.run_id == run.run_id}


def _usage(run: AgentRun[Any, Any], settings: InstrumentationSettings) -> dict[str, AttributeValue]:
    usage = run.ctx.state.usage.opentelemetry_attributes()
    prefix = "gen_ai.aggregated_usage" if settings.use_aggregated_usage_attribute_names else "gen_ai.usage"
    return {name.replace("gen_ai.usage", prefix, 1): tokens for name, tokens in usage.items()}
