"""What user code is given about the run that it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic

from typing_extensions import TypeVar

from app.ai.exceptions import UserError
from app.ai.reprs import repr_without_defaults

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from app.ai.agent import AbstractAgent
    from app.ai.capabilities import AbstractCapability
    from app.ai.capabilities.loaded import LoadedCapabilities
    from app.ai.messages import ModelMessage, ToolCallPart, UserContent
    from app.ai.models import Model
    from app.ai.pending import EnqueueContent, PendingMessagePriority, PendingMessages
    from app.ai.settings import ModelSettings
    from app.ai.usage import RunUsage

AgentDepsT = TypeVar("AgentDepsT", default=None, contravariant=True)
"""The type of an agent's dependencies."""

RunContextAgentDepsT = TypeVar("RunContextAgentDepsT", default=None, covariant=True)
"""The type of the dependencies as a context hands them out."""


DEFAULT_INSTRUMENTATION_VERSION: Final = 2


class _NoTracer:
    """A tracer that does nothing; OpenTelemetry is only imported when somebody uses it."""

    def __getattr__(self, name: str) -> Any:
        from opentelemetry.trace import NoOpTracer

        return getattr(NoOpTracer(), name)


_NO_TRACER: Any = _NoTracer()


@dataclass(repr=False, kw_only=True)
class RunContext(Generic[RunContextAgentDepsT]):
    """The state of a run as seen from a tool, an instructions function, an output function or a toolset."""

    deps: RunContextAgentDepsT
    """The run's dependencies."""
    model: Model
    """The model of the run."""
    usage: RunUsage
    """The live usage of the run."""
    agent: AbstractAgent[RunContextAgentDepsT, Any] | None = field(default=None, repr=False)
    """The agent that runs."""
    prompt: str | Sequence[UserContent] | None = None
    """The prompt that the run started with."""
    messages: list[ModelMessage] = field(default_factory=list["ModelMessage"])
    """The live list of messages, history included."""
    validation_context: Any = None
    """The pydantic validation context of tool arguments and outputs."""
    tracer: Tracer = field(default=_NO_TRACER, repr=False, compare=False)
    """Makes spans inside that of the run; they go nowhere if the agent is not instrumented."""
    trace_include_content: bool = False
    """Whether spans may hold what messages say."""
    instrumentation_version: int = DEFAULT_INSTRUMENTATION_VERSION
    """The version of the format that the run's spans have."""
    retries: dict[str, int] = field(default_factory=dict[str, int])
    """How often each tool has failed in a row, by tool name."""
    tool_call_id: str | None = None
    """The id of the tool call being served."""
    tool_name: str | None = None
    """The name of the tool being called, as the toolset that owns it knows it."""
    tool_call: ToolCallPart | None = field(default=None, repr=False)
    """The call as the model made it."""
    retry: int = 0
    """How often this tool, or the output, has been retried so far."""
    max_retries: int = 0
    """How often it may be retried."""
    run_step: int = 0
    """The number of the model request, counted from 1."""
    tool_call_approved: bool = False
    """Whether a person has approved this tool call."""
    tool_call_metadata: Any = None
    """What came with the result or approval of a deferred call."""
    partial_output: bool = False
    """Whether an output validator sees a value that is still being streamed."""
    run_id: str | None = None
    """The id of the run."""
    conversation_id: str | None = None
    """The id of the conversation that the run belongs to."""
    metadata: dict[str, Any] | None = None
    """The run's metadata."""
    model_settings: ModelSettings | None = None
    """The settings merged so far; set only while a model request is prepared."""
    idempotency_key: str | None = None
    """A key that stays the same when this tool call is attempted again; None when the run is not durable."""

    capabilities: Mapping[str, AbstractCapability[RunContextAgentDepsT]] = field(
        default_factory=dict[str, "AbstractCapability[RunContextAgentDepsT]"], repr=False, compare=False
    )
    """The run's capabilities that have an id, by it."""
    loading: LoadedCapabilities | None = field(default=None, repr=False, compare=False)
    """Knows which capabilities were loaded in the messages that it has read before."""
    pending_messages: PendingMessages | None = field(default=None, repr=False, compare=False)
    """What `enqueue` adds to; None where there is no run."""

    def enqueue(self, *content: EnqueueContent, priority: PendingMessagePriority = "asap") -> None:
        """Put messages into the conversation: with the next request, or `when_idle` once the run would end.

        Raises `UserError` if they do not end in a request, or where a durable run would not find them again.
        """
        if self.pending_messages is None:
            raise UserError("There is no run that messages could be enqueued in")
        self.pending_messages.enqueue(content, priority)

    @property
    def loaded_capability_ids(self) -> set[str]:
        """The capabilities with `defer_loading` that the model has loaded."""
        from app.ai.capabilities.loaded import LoadedCapabilities  # brings the messages

        return (self.loading or LoadedCapabilities()).of(self.messages)

    @property
    def last_attempt(self) -> bool:
        """Whether one more failure ends the run."""
        return self.retry == self.max_retries

    __repr__ = repr_without_defaults
