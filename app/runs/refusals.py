"""Every way in which a verb says no: the problem's type, the field, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

from app.errors import Conflict, HoldfastError, Invalid, NotFound, Unavailable
from app.runs.records import Approval, Run
from app.runs.text import Unstorable


def unknown_run(run_id: str) -> HoldfastError:
    """No run has this id."""
    fix = "Check the id; a deleted run is gone."
    return NotFound(f"There is no run {run_id}.", type="unknown_run", field="run_id", fix=fix)


def unknown_agent(name: str, known: Iterable[str], *, in_body: bool = False) -> HoldfastError:
    """No agent has this name. In a body that makes the request invalid, in a path there is nothing to be found."""
    kind = Invalid if in_body else NotFound
    fix = f"Use one of: {', '.join(sorted(known)) or '(this service has no agents; see HOLDFAST_AGENTS)'}."
    return kind(f"There is no agent {name!r}.", type="unknown_agent", field="agent" if in_body else "name", fix=fix)


def agent_is_code(name: str) -> HoldfastError:
    """An agent in a file has the name."""
    return Conflict(
        f"The agent {name!r} is in a file of this service.",
        type="agent_is_code",
        field="name",
        fix="Use another name, or change the file.",
    )


def invalid_spec(problem: str, field: str = "body") -> HoldfastError:
    """The body is no agent."""
    fix = "Correct the spec; docs/agents.md lists its fields."
    return Invalid(problem, type="invalid_spec", field=field, fix=fix)


def capability_not_allowed(name: str, allowed: Iterable[str]) -> HoldfastError:
    """The capability reaches further than a spec that comes over HTTP may."""
    return Invalid(
        f"An agent that comes over HTTP may not have the capability {name!r}.",
        type="capability_not_allowed",
        field="capabilities",
        fix=f"Use one of: {', '.join(sorted(allowed))}; or add it to HOLDFAST_HTTP_CAPABILITIES.",
    )


def invalid_deps(agent: str, field: str, problem: str) -> HoldfastError:
    """The dependencies do not fit the agent's schema of them."""
    return Invalid(
        f"The agent {agent!r} does not take these deps: {problem}.",
        type="invalid_deps",
        field=field,
        fix=f"Send `deps` that fit `deps_schema` of GET /api/agents/{agent}.",
    )


def takes_no_deps(agent: str) -> HoldfastError:
    """The agent has neither a schema nor a provider of dependencies."""
    return Invalid(
        f"The agent {agent!r} takes no deps.",
        type="invalid_deps",
        field="deps",
        fix="Leave the field out; or give the spec a `deps_schema`, the Python agent a provider in `DEPS`.",
    )


def takes_no_output_schema(agent: str) -> HoldfastError:
    """The agent's output validators are made for its own output."""
    return Invalid(
        f"The agent {agent!r} has output validators, which are made for its own output type.",
        type="invalid_output_schema",
        field="output_schema",
        fix="Leave the field out, or use an agent without output validators.",
    )


def unknown_conversation(conversation_id: str) -> HoldfastError:
    """No run belongs to this conversation."""
    return NotFound(
        f"There is no conversation {conversation_id!r}.",
        type="unknown_conversation",
        field="conversation_id",
        fix="Leave conversation_id out to begin a new conversation, and use the id that its first run shows.",
    )


def idempotency_key_reused(run_id: str) -> HoldfastError:
    """The key belongs to another request."""
    return Invalid(
        f"This key was used for run {run_id} with another body.",
        type="idempotency_key_reused",
        field="Idempotency-Key",
        fix="Use a new key for a new request, or send the same body again.",
    )


def run_of_key_deleted(run_id: str) -> HoldfastError:
    """The run that the key was used for does not exist any more."""
    return Conflict(
        f"This key was used for run {run_id}, which was deleted since.",
        type="run_deleted",
        field="Idempotency-Key",
        fix="Use a new key to send the request again.",
    )


def prompt_too_large(size: int, limit: int, *, field: str) -> HoldfastError:
    """The prompt is over the limit."""
    return Invalid(
        f"The prompt has {size} bytes; this service takes {limit}.",
        type="prompt_too_large",
        field=field,
        fix="Send less, or raise HOLDFAST_MAX_PROMPT_BYTES.",
    )


def unstorable(found: Unstorable) -> HoldfastError:
    """A value of the request cannot be stored."""
    return Invalid(found.detail, type="unstorable_value", field=found.field or "body", fix=found.fix)


def malformed_cursor() -> HoldfastError:
    """The cursor is not one of ours."""
    return Invalid(
        "This is no cursor of this service.",
        type="malformed_cursor",
        field="cursor",
        fix="Give `next_cursor` of the page before, or leave it out for the first page.",
    )


def malformed_last_event_id(given: str) -> HoldfastError:
    """The Last-Event-ID is no seq."""
    return Invalid(
        f"Last-Event-ID is {given!r}, which is no seq of an event.",
        type="malformed_last_event_id",
        field="Last-Event-ID",
        fix="Give the id of the last event that arrived, a whole number, or leave it out to start from the first.",
    )


def run_finished(run: Run) -> HoldfastError:
    """The run has its outcome already."""
    return Conflict(
        f"Run {run.run_id} {run.status} before it could be cancelled.",
        type="run_finished",
        field="run_id",
        fix="Nothing is left to cancel; read its outcome.",
    )


def message_too_late(run: Run) -> HoldfastError:
    """The run has ended, or is about to."""
    state = run.status if run.is_finished else "about to end"
    return Conflict(
        f"Run {run.run_id} is {state} and takes no more messages.",
        type="message_too_late",
        field="run_id",
        fix="Start a run of its conversation with this as the prompt; a failed or cancelled one can be resumed first.",
    )


def run_not_finished(run: Run) -> HoldfastError:
    """Only finished runs can be deleted."""
    return Conflict(
        f"Run {run.run_id} is {run.status}.",
        type="run_not_finished",
        field="run_id",
        fix="Cancel the run, or wait for its end, before you delete it.",
    )


def run_is_history(run_id: str, reader: str) -> HoldfastError:
    """An unfinished run was started with this one in its history."""
    return Conflict(
        f"Run {run_id} is part of the history of run {reader}, which is not finished.",
        type="run_in_use",
        field="run_id",
        fix=f"Delete it when run {reader} is finished.",
    )


def run_not_waiting(run: Run, tool_call_id: str) -> HoldfastError:
    """The run does not wait for the result of this call."""
    open_calls = [wait.tool_call_id for wait in run.waiting_for or () if wait.tool_call_id]
    waits = f"It waits for: {', '.join(open_calls)}." if open_calls else "It waits for nothing."
    return Conflict(
        f"Run {run.run_id} is {run.status} and does not wait for {tool_call_id!r}. {waits}",
        type="run_not_waiting",
        field="tool_call_id",
        fix="Name a tool call from the run's `waiting_for`.",
    )


def run_not_resumable(run: Run) -> HoldfastError:
    """Only runs that ended without success can be resumed."""
    if run.status == "waiting":
        fix = "Answer what it waits for: approve or deny it, or resume with the `tool_call_id` and its result."
    else:
        fix = "Only failed and cancelled runs can be resumed."
    return Conflict(f"Run {run.run_id} is {run.status}.", type="run_not_resumable", field="run_id", fix=fix)


def already_decided(question: Approval) -> HoldfastError:
    """The decision was made by somebody else, or by the same client before."""
    return Conflict(
        f"Tool call {question.tool_call_id!r} was decided by {question.decided_by} at {question.decided_at}.",
        type="already_decided",
        field="tool_call_id",
        fix="A decision is final; to go another way, cancel the run.",
        members=question.model_dump(mode="json", include={"decision", "decided_at", "decided_by"}),
    )


def needs_a_result(question: Approval) -> HoldfastError:
    """Something else than an approval is asked for."""
    return Conflict(
        f"Tool call {question.tool_call_id!r} waits for its result, not for an approval.",
        type="wrong_kind_of_answer",
        field="tool_call_id",
        fix=f'POST /api/runs/{question.run_id}/resume with {{"tool_call_id": …, "result": …}}.',
    )


def needs_an_approval(question: Approval) -> HoldfastError:
    """An approval is asked for."""
    return Conflict(
        f"Tool call {question.tool_call_id!r} waits for an approval, not for a result.",
        type="wrong_kind_of_answer",
        field="tool_call_id",
        fix=f'POST /api/runs/{question.run_id}/approvals/{question.tool_call_id} with {{"approve": true or false}}.',
    )


def needs_input(question: Approval) -> HoldfastError:
    """Answers to questions are asked for."""
    return Conflict(
        f"Tool call {question.tool_call_id!r} waits for answers to its questions.",
        type="wrong_kind_of_answer",
        field="tool_call_id",
        fix=f'POST /api/runs/{question.run_id}/inputs/{question.tool_call_id} with {{"action": …, "content": …}}.',
    )


def asks_nothing(question: Approval) -> HoldfastError:
    """There are no questions to answer."""
    refusal = needs_an_approval if question.kind == "approval" else needs_a_result
    return refusal(question)


def wrong_questions(name: str, questions: Iterable[str]) -> HoldfastError:
    """An answer is missing, or one too many."""
    return Invalid(
        f"The call asks: {', '.join(questions)}; there must be one answer for each, and no other.",
        type="invalid_answer",
        field=f"answers.{name}",
        fix="Answer each of `metadata.questions` by its name.",
    )


def invalid_answer(field: str, problem: str) -> HoldfastError:
    """An answer does not fit its question."""
    return Invalid(
        f"This does not answer the question: {problem}.",
        type="invalid_answer",
        field=field,
        fix="Correct it; the JSON schema of the form is in `metadata.questions` of GET /api/approvals.",
    )


def cannot_run_again(question: Approval) -> HoldfastError:
    """Only a lost call can run again."""
    return Conflict(
        f"Tool call {question.tool_call_id!r} is made outside the run, so the run cannot make it.",
        type="wrong_kind_of_answer",
        field="run_again",
        fix="Make the call, and send its `result` or an `error`.",
    )


def no_such_place(field: str, number: int, last: int) -> HoldfastError:
    """The run did not get so far."""
    return Invalid(
        f"The run has no {field.removeprefix('from_')} {number}; its steps can be done anew up to {last}.",
        type="no_such_place",
        field=field,
        fix=f"See the run's {field.removeprefix('from_')}s.",
    )


def edit_too_late(step: int) -> HoldfastError:
    """The prompt was sent to the model before the fork begins."""
    return Invalid(
        f"The prompt cannot change in a fork from step {step}: the step before has sent it to the model.",
        type="edit_too_late",
        field="edits.prompt",
        fix="Fork from step 1, or leave the prompt as it was.",
    )


def key_name_taken(name: str) -> HoldfastError:
    """Another key has the name."""
    return Conflict(
        f"There is a key {name!r} already.", type="key_name_taken", field="name", fix="Give the key another name."
    )


def unknown_key(name: str) -> HoldfastError:
    """No key has this name or id."""
    fix = "See `holdfast keys list`."
    return NotFound(f"There is no key {name!r}.", type="unknown_key", field="name", fix=fix)


def invalid_arguments(tool: str, field: str, problem: str) -> HoldfastError:
    """Given arguments do not fit the tool."""
    return Invalid(
        f"Tool {tool!r} does not take these arguments: {problem}.",
        type="invalid_arguments",
        field=field,
        fix="Correct the argument; the tool's JSON schema is in `parameters` of GET /api/approvals.",
    )


def database_down() -> HoldfastError:
    """Postgres cannot be reached."""
    return Unavailable("Postgres cannot be reached.", type="database_unavailable", fix=_RETRY)


def database_silent(seconds: float) -> HoldfastError:
    """Postgres took too long, so what was asked may have happened or not."""
    return Unavailable(f"Postgres did not answer within {seconds} s.", type="database_unavailable", fix=_RETRY)


def not_migrated() -> HoldfastError:
    """The database lacks our tables."""
    return Unavailable(
        "The database is not in the state that this version needs.", type="not_migrated", fix="Run `holdfast migrate`."
    )


def draining() -> HoldfastError:
    """This process is about to end."""
    return Unavailable("This process is stopping.", type="draining", fix="Use another process of this service.")


_RETRY = "Try again after the seconds in Retry-After; with an Idempotency-Key a run is never started twice."
