"""Every problem that the API may answer, by example, and what the OpenAPI document says of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from app.api import security
from app.api.problems import INTERNAL_ERROR, MEDIA_TYPE, RETRY_AFTER_SECONDS, http_problem, to_problem
from app.api.schemas import FieldProblem, Problem
from app.errors import BusyConversation, HoldfastError
from app.runs import refusals
from app.runs.keys import Caller
from app.runs.records import Approval, Run
from app.runs.text import find_unstorable

Responses = dict[int | str, dict[str, Any]]

_RUN_ID: Final = "0198c0de-1a2b-7000-8000-000000000001"
_OTHER_RUN_ID: Final = "0198c0de-1a2b-7000-8000-000000000002"
_CALL_ID: Final = "call_1"
_NOW: Final = datetime(2026, 11, 25, 12, tzinfo=UTC)


def _run(status: str) -> Run:
    return Run.model_construct(run_id=_RUN_ID, status=status, waiting_for=None)


_QUESTION: Final = Approval.model_construct(
    run_id=_RUN_ID, tool_call_id=_CALL_ID, decision={"approve": True}, decided_at=_NOW, decided_by="ann"
)


def _unstorable() -> HoldfastError:
    found = find_unstorable({"prompt": "a\0b"})
    assert found is not None
    return refusals.unstorable(found)


def _invalid(field: str, detail: str, fix: str, *, problem_type: str = "invalid_request") -> Problem:
    return Problem(
        type=problem_type,
        title="Invalid request",
        status=422,
        detail=f"{field}: {detail}",
        field=field,
        fix=fix,
        errors=[FieldProblem(field=field, detail=detail)],
    )


_EXAMPLES: Final[Sequence[Problem | HoldfastError]] = (
    http_problem(400, "There was an error parsing the body"),
    security.UNAUTHORIZED,
    security.forbidden(Caller("reader", frozenset({"read"})), "run"),
    refusals.unknown_run(_RUN_ID),
    refusals.unknown_conversation("support-7"),
    refusals.unknown_agent("demmo", ["demo"]),
    BusyConversation(_RUN_ID),
    refusals.run_finished(_run("succeeded")),
    refusals.message_too_late(_run("succeeded")),
    refusals.run_not_finished(_run("running")),
    refusals.run_not_waiting(_run("running"), _CALL_ID),
    refusals.run_not_resumable(_run("succeeded")),
    refusals.already_decided(_QUESTION),
    refusals.needs_a_result(_QUESTION),
    refusals.run_is_history(_RUN_ID, _OTHER_RUN_ID),
    refusals.run_of_key_deleted(_RUN_ID),
    http_problem(413, "The body is larger than 2162688 bytes."),
    security.unsupported_media_type("text/plain"),
    security.host_not_allowed("holdfast.example"),
    _invalid("limit", "Input should be less than or equal to 200", "Correct the field; see /openapi.json."),
    refusals.invalid_arguments("pay", "args.amount", "'3' is not of type 'integer'"),
    refusals.invalid_answer("content.seat", "'1' is too short"),
    refusals.prompt_too_large(2_000_000, 1_048_576, field="prompt"),
    _unstorable(),
    refusals.no_such_place("from_step", 9, 4),
    refusals.edit_too_late(3),
    refusals.agent_is_code("demo"),
    refusals.invalid_spec("The agent spec has no field 'instruction'"),
    refusals.capability_not_allowed("MCP", ["Thinking"]),
    refusals.invalid_deps("poet", "deps.name", "'name' is a required property"),
    refusals.takes_no_output_schema("judge"),
    refusals.idempotency_key_reused(_RUN_ID),
    refusals.malformed_cursor(),
    refusals.malformed_last_event_id("abc"),
    _invalid("body", "A denied call has no arguments.", "Leave `args` out.", problem_type="not_allowed"),
    _invalid("on_busy", "Only `reject` is supported yet.", 'Use "reject".', problem_type="not_supported_yet"),
    INTERNAL_ERROR,
    refusals.database_down(),
    refusals.not_migrated(),
    refusals.draining(),
)
_PROBLEMS: Final = {
    problem.type: problem for problem in (item if isinstance(item, Problem) else to_problem(item) for item in _EXAMPLES)
} | {"unknown_agent_in_body": to_problem(refusals.unknown_agent("demmo", ["demo"], in_body=True))}

_ANY_REQUEST: Final = ("host_not_allowed", "internal_error")
# The key is looked up in the database.
_WITH_KEY: Final = ("unauthorized", "forbidden", "database_unavailable", "not_migrated")

BODY: Final = ("malformed_request", "body_too_large", "unsupported_media_type", "invalid_request", "unstorable_value")
"""What any request with a body may be answered with."""

_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": {"description": "How to show a key.", "schema": {"const": "Bearer"}, "required": True}},
    503: {
        "Retry-After": {
            "description": "Seconds after which to try again.",
            "schema": {"type": "string", "const": RETRY_AFTER_SECONDS},
            "required": True,
        }
    },
}


def problems(*names: str, needs_key: bool = True) -> Responses:
    """The `responses` of a route that may answer with these problems, besides those that any route may answer with."""
    wanted = dict.fromkeys((*names, *_ANY_REQUEST, *(_WITH_KEY if needs_key else ())))
    by_status: dict[int, list[Problem]] = {}
    for problem in sorted((_PROBLEMS[name] for name in wanted), key=lambda found: found.status):
        by_status.setdefault(problem.status, []).append(problem)
    return {status: _response(status, found) for status, found in by_status.items()}


def _response(status: int, found: Sequence[Problem]) -> dict[str, Any]:
    narrowed = {"type": {"enum": [problem.type for problem in found]}, "status": {"const": status}}
    content = {
        "schema": {"$ref": "#/components/schemas/Problem", "properties": narrowed},
        "examples": {problem.type: {"value": problem.as_json()} for problem in found},
    }
    headers = {"headers": _HEADERS[status]} if status in _HEADERS else {}
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: content}, **headers}
