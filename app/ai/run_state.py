"""What one run of an agent carries from node to node."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from app.ai.callbacks import resolve
from app.ai.capabilities.abstract import AbstractCapability
from app.ai.capabilities.combined import CombinedCapability
from app.ai.capabilities.loaded import LoadedCapabilities
from app.ai.event_stream import EventStreamHandler, drain
from app.ai.graph import GraphRunContext
from app.ai.instructions import Instructions
from app.ai.messages import AgentStreamEvent, ModelMessage, ModelRequest, UserContent
from app.ai.models import Model
from app.ai.native_tools import AgentNativeTool
from app.ai.output import OutputDataT, OutputValidatorFunc
from app.ai.output_maker import OutputMaker
from app.ai.output_schema import OutputSchema
from app.ai.pending import PendingMessages
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.settings import ModelSettings, merge_model_settings
from app.ai.stamps import now_utc
from app.ai.steps import Steps
from app.ai.tool_manager import ToolManager
from app.ai.tool_phase import EndStrategy
from app.ai.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    from app.ai.agent import AbstractAgent
    from app.ai.instrumentation.settings import InstrumentationSettings

AgentModelSettings: TypeAlias = ModelSettings | Callable[[RunContext[AgentDepsT]], ModelSettings]
"""Settings, or a function that gives them for each request and sees the layers below in `ctx.model_settings`."""


async def merged_settings(layers: Sequence[AgentModelSettings[Any]], ctx: RunContext[Any]) -> ModelSettings:
    """Several layers as one: each sees in `ctx.model_settings` what is below it."""
    added: ModelSettings | None = None
    for layer in layers:
        below = merge_model_settings(ctx.model_settings, added)
        settings = await resolve(layer(replace(ctx, model_settings=below))) if callable(layer) else layer
        added = merge_model_settings(added, settings)
    return added or ModelSettings()


@dataclass(kw_only=True)
class GraphAgentState:
    """What changes in the course of a run."""

    run_id: str
    conversation_id: str
    message_history: list[ModelMessage] = field(default_factory=list[ModelMessage])
    """One list for the whole run: it is changed in place, because others look at it."""
    usage: RunUsage = field(default_factory=RunUsage)
    output_retries_used: int = 0
    run_step: int = 0
    max_tokens: int | None = None
    """The limit that the last request set."""
    metadata: dict[str, Any] | None = None
    pending: PendingMessages = field(default_factory=PendingMessages)
    """What waits to be put into the conversation."""


@dataclass(kw_only=True)
class GraphAgentDeps(Generic[AgentDepsT, OutputDataT]):
    """What was decided when a run began."""

    user_deps: AgentDepsT
    agent: AbstractAgent[AgentDepsT, Any]
    model: Model
    model_settings: Sequence[AgentModelSettings[AgentDepsT]]
    """The layers above the model's own settings; a later one wins."""
    usage_limits: UsageLimits
    max_output_retries: int
    end_strategy: EndStrategy
    prompt: str | Sequence[UserContent] | None
    instructions: Instructions
    output_schema: OutputSchema[OutputDataT]
    output_validators: Sequence[OutputValidatorFunc[Any]]
    validation_context: Any
    tool_manager: ToolManager
    steps: Steps
    native_tools: Sequence[AgentNativeTool[AgentDepsT]] = ()
    """Of several with one id, the last one counts."""
    capability: CombinedCapability[AgentDepsT] = field(default_factory=CombinedCapability[AgentDepsT])
    capabilities: Mapping[str, AbstractCapability[AgentDepsT]] = field(
        default_factory=dict[str, AbstractCapability[AgentDepsT]]
    )
    """Those that have an id."""
    loading: LoadedCapabilities = field(default_factory=LoadedCapabilities)
    event_stream_handler: EventStreamHandler[AgentDepsT] | None = None
    instrumentation: InstrumentationSettings | None = None

    @property
    def outputs(self) -> OutputMaker:
        """What makes the outputs of the run."""
        return OutputMaker(
            self.output_schema, self.output_validators, self.steps, self.capability, self.instrumentation
        )

    @property
    def event_reader(self) -> EventStreamHandler[AgentDepsT] | None:
        """The handler, with the hooks around the events; None if nobody wants to see them."""
        if not self.capability.has_wrap_run_event_stream:
            return self.event_stream_handler

        async def read(ctx: RunContext[AgentDepsT], stream: AsyncIterable[AgentStreamEvent]) -> None:
            events = self.capability.wrap_run_event_stream(ctx, stream=stream)
            if self.event_stream_handler is not None:
                await self.event_stream_handler(ctx, events)
            await drain(events)

        return read


RunState: TypeAlias = GraphRunContext[GraphAgentState, GraphAgentDeps[Any, Any]]
"""What the nodes of the loop are given."""


def build_run_context(run: RunState) -> RunContext[Any]:
    """The run as user code sees it at this moment."""
    state, deps = run.state, run.deps
    ctx = RunContext[Any](
        deps=deps.user_deps,
        model=deps.model,
        usage=state.usage,
        agent=deps.agent,
        prompt=deps.prompt,
        messages=state.message_history,
        retries=deps.tool_manager.retries,
        run_step=state.run_step,
        run_id=state.run_id,
        conversation_id=state.conversation_id,
        metadata=state.metadata,
        pending_messages=state.pending,
        capabilities=deps.capabilities,
        loading=deps.loading,
    )
    if settings := deps.instrumentation:
        ctx.tracer = settings.tracer
        ctx.trace_include_content = settings.include_content
        ctx.instrumentation_version = settings.version
    context = deps.validation_context
    ctx.validation_context = context(ctx) if callable(context) else context
    return ctx


def output_context(run: RunState) -> RunContext[Any]:
    """The run as output functions and validators see it."""
    return replace(build_run_context(run), retry=run.state.output_retries_used, max_retries=run.deps.max_output_retries)


def stamp_message(message: ModelMessage, state: GraphAgentState) -> ModelMessage:
    """The message with ids and time of the run; what it already has stays."""
    if isinstance(message, ModelRequest):
        return stamp_request(message, state)
    return replace(
        message,
        run_id=message.run_id or state.run_id,
        conversation_id=message.conversation_id or state.conversation_id,
    )


def stamp_request(request: ModelRequest, state: GraphAgentState) -> ModelRequest:
    """The request with ids and time of the run; what it already has stays."""
    return replace(
        request,
        timestamp=request.timestamp or now_utc(),
        run_id=request.run_id or state.run_id,
        conversation_id=request.conversation_id or state.conversation_id,
    )


async def take_pending(run: RunState, *, ending: bool) -> list[ModelMessage]:
    """What goes with the next request; everything that waits, if the run would end. It is pending no longer."""
    pending = run.state.pending
    pending.queue += await run.deps.steps.sent_messages(run.state, ending=ending)
    return pending.take("asap", "when_idle") if ending else pending.take("asap")


def deliver(run: RunState, pending: list[ModelMessage]) -> ModelRequest:
    """Put pending messages into the history, all but the last one, which is the request to send."""
    *earlier, last = [stamp_message(message, run.state) for message in pending]
    run.state.message_history.extend(earlier)
    assert isinstance(last, ModelRequest), "what is enqueued ends in a request"
    return last
