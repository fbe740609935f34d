"""What a server asks a person in the middle of a call, as JSON that can wait for days, and the answers.

A call that has to wait is deferred with this metadata; its next call finds `continued(metadata, …)` in its context.

    waiting_for       `input`; or `outcome_unknown` if the call has ended and making it again needs a person's word
    idempotency_key   the one that the call had
    questions         by their names: {mode: form, message, schema} or {mode: url, message, url}
    mcp               what the next call needs to go on where this one stopped
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NotRequired, TypedDict

if TYPE_CHECKING:
    from mcp_types import ElicitRequestParams

INPUT: Final = "input"
"""What such a call waits for."""


class Question(TypedDict):
    """A form that a person fills in, or an address that a person opens."""

    mode: Literal["form", "url"]
    message: str
    schema: NotRequired[dict[str, Any]]
    url: NotRequired[str]


class Answer(TypedDict):
    """What a person did with a question. `content` goes with an accepted form."""

    action: Literal["accept", "decline", "cancel"]
    content: NotRequired[dict[str, Any]]


class Answered(TypedDict):
    """A question that the call asked, with its answer, for when it is made again."""

    question: Question
    answer: Answer


class CallState(TypedDict, total=False):
    """Where a call stopped. `responses` are for the server's last answer (2026-07-28), `answered` for a new call."""

    request_state: str | None
    responses: dict[str, Any]
    sampling: dict[str, Any]
    samplings: int
    answered: list[Answered]


def question_of(params: ElicitRequestParams) -> Question:
    """The question that a request asks."""
    if params.mode == "url":
        return {"mode": "url", "message": params.message, "url": params.url}
    return {"mode": "form", "message": params.message, "schema": params.requested_schema}


def questions_in(metadata: Any) -> dict[str, Question]:
    """What a deferred call asks a person, by name; nothing if it waits for something else."""
    return metadata.get("questions") or {} if isinstance(metadata, Mapping) else {}  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def sampling_in(metadata: Any) -> dict[str, Any]:
    """What a deferred call asks a model, by name."""
    return state_in(metadata).get("sampling") or {}


def state_in(metadata: Any) -> CallState:
    """Where the call stopped that has this metadata."""
    return metadata.get("mcp") or {} if isinstance(metadata, Mapping) else {}  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def goes_on(metadata: Any) -> bool:
    """Whether the answers finish the call that was made, instead of making it again."""
    return "responses" in state_in(metadata)


def continued(
    metadata: Mapping[str, Any], answers: Mapping[str, Answer], sampled: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The metadata with which the call goes on, once everything that it asked is answered."""
    state = state_in(metadata)
    if goes_on(metadata):
        given = {**state.get("responses", {}), **answers, **(sampled or {})}
        return {"mcp": {"request_state": state.get("request_state"), "responses": given, **_count(state)}}
    questions = questions_in(metadata)
    answered = [Answered(question=questions[name], answer=answer) for name, answer in answers.items()]
    return {"mcp": {"answered": [*state.get("answered", []), *answered]}}


def _count(state: CallState) -> dict[str, int]:
    return {"samplings": state["samplings"]} if "samplings" in state else {}
