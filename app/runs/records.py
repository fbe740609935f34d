"""What the service tells about runs: the columns of our views, under the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from app.ai.pending import PendingMessagePriority
from app.db.runs import FINISHED
from app.durable.names import RETRY_AT

WaitKind = Literal["approval", "external", "outcome_unknown", "input"]
RunStatus = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]


# Said in the schema only: what is stored already is shown, even if it should not be so.
Count = Annotated[int, Field(json_schema_extra={"minimum": 0})]
Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
"""The id of a run: a UUID."""


class Record(BaseModel):
    """A row, frozen; columns that a record does not name are left out."""

    # The schema of answers is exact: every field is there, and no other.
    model_config = ConfigDict(
        frozen=True,
        json_schema_extra={"additionalProperties": False},
        json_schema_serialization_defaults_required=True,
    )

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> Self:
        """The record of a row."""
        return cls.model_validate(dict(row))


class RunError(Record):
    """Why a run failed."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})

    type: str | None = Field(default=None, description="Name of the exception.")
    message: str | None = None
    step: Count | None = Field(default=None, description="The step that failed, if it was one.")


class OpenWait(Record):
    """Something a waiting run waits for."""

    kind: WaitKind | Literal["retry_at"]
    tool_call_id: str | None = Field(default=None, description="Null for `retry_at`: nobody has to answer that.")
    tool: str | None = None
    args: Any = None
    metadata: Any = Field(default=None, description="What the tool said; for `retry_at` what the provider said.")
    requested_at: datetime | None = None
    deadline: datetime | None = Field(default=None, description="When it is decided or goes on by itself, if ever.")


class Approval(Record):
    """A question of a run: may this call be made, what is its result, what became of it, what does it want to know?"""

    run_id: Id
    agent: str | None
    tool_call_id: str
    kind: WaitKind
    tool: str
    args: Any
    parameters: Any = Field(description="JSON schema of the tool's arguments.")
    metadata: Any = Field(
        description="What the tool said; for a lost call the idempotency key that it had, for input the `questions`."
    )
    requested_at: datetime
    deadline: datetime | None = Field(description="When it is decided by itself, if ever.")
    status: Literal["open", "decided", "closed"] = Field(description="Closed: the run ended before it was decided.")
    decision: Any = Field(description="{approve, message?, args?}, {result}, {error}, {run_again} or {answers}.")
    decided_at: datetime | None
    decided_by: str | None = Field(description="The name of the key; `deadline` if nobody decided in time.")


class ApprovalPage(Record):
    """Questions of runs, newest first."""

    approvals: list[Approval]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


def goes_on_by_itself(kinds: Sequence[str]) -> bool:
    """Whether a run that waits for these needs nobody to go on."""
    return list(kinds) == [RETRY_AT]


class RunSummary(Record):
    """A run as lists show it: without its prompt and output."""

    run_id: Id
    agent: str | None
    agent_version: str | None
    conversation_id: str | None
    status: RunStatus
    reason: str | None = Field(description="Why it failed or was cancelled: timeout, too_many_recoveries, diverged, …")
    input_tokens: Count
    output_tokens: Count
    requests: Count = Field(description="Model requests.")
    tool_calls: Count
    cost_usd: float | None = Field(description="The sum of the known costs; null when none is known.")
    waiting_for: list[OpenWait] | None = Field(description="What a waiting run waits for.")
    created_at: datetime
    first_started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_finished(self) -> bool:
        """Whether the run has its outcome."""
        return self.status in FINISHED

    @property
    def is_settled(self) -> bool:
        """Whether nothing will happen until somebody does something."""
        if self.status != "waiting":
            return self.is_finished
        return not goes_on_by_itself([wait.kind for wait in self.waiting_for or ()])


class Run(RunSummary):
    """One execution of an agent on a prompt."""

    prompt: Any = Field(description="Text, or a list of content parts.")
    output: Any
    output_type: str | None
    error: RunError | None
    unknown_cost_attempts: Count = Field(
        description="Model requests that were lost in a crash and may have been billed."
    )
    metadata: Any
    executor_id: str | None = Field(description="The worker that executes the run, or did last.")
    recovery_attempts: Count
    updated_at: datetime
    deadline: datetime | None
    parent_run_id: Id | None
    forked_from: Id | None = Field(description="The run that this one is a fork of.")
    forked_at_step: Count | None = Field(description="Steps before this one were taken over from there.")


class Step(Record):
    """One checkpointed unit of a run."""

    step: Count
    kind: str | None = Field(description="model, tool, mcp, output, decision, …")
    name: str
    input: Any
    output: Any
    outcome: str | None = Field(description="returned, retry, deferred, failed or unknown.")
    error: Any
    attempt: Count = Field(description="The attempt that was recorded.")
    attempts: Count = Field(description="Above 1 after a crash or a retry.")
    tool_call_id: str | None
    tool: str | None
    toolset: str | None
    model: str | None
    input_tokens: Count | None
    output_tokens: Count | None
    cost_usd: float | None
    started_at: datetime | None
    finished_at: datetime | None
    duration_ms: float | None


class Message(Record):
    """A message that a run added to its conversation."""

    position: Count
    step: Count
    kind: Literal["request", "response"]
    message: dict[str, Any] = Field(description="Published message JSON.")


class SentMessage(Record):
    """A message that was sent to a run on its way."""

    message_id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    run_id: Id
    content: Any = Field(description="Text, or a list of content parts.")
    priority: PendingMessagePriority
    sent_at: datetime
    sent_by: str = Field(description="The name of the key.")
    taken_at_step: Count | None = Field(description="The step that put it into the conversation; null before.")


class Event(Record):
    """One numbered thing that happened in a run."""

    seq: Count
    attempt: Count | None
    step: Count | None
    type: str
    data: dict[str, Any]
    created_at: datetime


class KeyInfo(Record):
    """An API key without its secret."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class AgentInfo(Record):
    """An agent as clients see it: what it is made of, never its instructions."""

    name: str
    version: str = Field(description="Agents in Python have the version of the code they are in.")
    description: str | None
    model: str | None = Field(description="`provider:name`; null if every request has to name one.")
    output_type: str
    tools: list[str] = Field(description="Function tools; what remote toolsets offer is known to runs only.")
    toolsets: list[str]
    deps_schema: dict[str, Any] | None = Field(description="JSON schema of `deps` of a run; null if it takes none.")
    takes_output_schema: bool = Field(description="Whether a run may have an `output_schema` of its own.")


class AgentVersion(Record):
    """One version of an agent that came over HTTP."""

    version: int
    spec: dict[str, Any]
    created_at: datetime
    created_by: str = Field(description="The name of the key.")


class AgentDetail(AgentInfo):
    """An agent, and its versions."""

    versions: list[AgentVersion] = Field(description="Newest first; none for an agent that is in a file.")


class RunPage(Record):
    """Runs, newest first."""

    runs: list[RunSummary]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last one.")


class StepList(Record):
    """The recorded steps of a run, in order."""

    run_id: Id
    steps: list[Step]


class MessageList(Record):
    """The messages that a run added to its conversation, in order."""

    run_id: Id
    messages: list[Message]


class EventPage(Record):
    """Events of a run, in order."""

    run_id: Id
    events: list[Event]
    next_after: Count = Field(description="Give it as `after` for what comes next.")
    finished: bool = Field(description="Whether the page reaches the end of a finished run.")


class Conversation(Record):
    """The runs that share one message history, oldest first."""

    conversation_id: str
    busy_run_id: Id | None = Field(description="The unfinished run that keeps the conversation busy.")
    runs: list[RunSummary]
