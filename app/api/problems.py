"""Every error as `application/problem+json`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.api.schemas import FieldProblem, Problem
from app.errors import HoldfastError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "2"

_HTTP_TYPES = {400: "malformed_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
INTERNAL_ERROR = Problem(
    type="internal_error",
    title="Internal error",
    status=500,
    detail="The service failed on this request; its log has the cause.",
)
_OWN_ERROR_TYPES = frozenset({"not_supported_yet", "not_allowed", "invalid_output_schema"})
_FIXES = {
    "missing": "Add the field.",
    "extra_forbidden": "Remove the field, or check its spelling.",
    "json_invalid": "Send valid JSON.",
    "uuid_parsing": "Give the id as the API returned it, a UUID.",
}


class ProblemResponse(JSONResponse):
    """A problem as an HTTP response."""

    media_type = MEDIA_TYPE

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        extra = {"Retry-After": RETRY_AFTER_SECONDS} if problem.status == HTTPStatus.SERVICE_UNAVAILABLE else {}
        super().__init__(problem.as_json(), problem.status, headers={**extra, **(headers or {})})


def add_problem_handlers(app: FastAPI, allowed_methods: Callable[[Scope], Sequence[str]]) -> None:
    """Answer every error of the application with a problem."""

    @app.exception_handler(HoldfastError)
    async def refused(_: Request, error: HoldfastError) -> ProblemResponse:
        return ProblemResponse(to_problem(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> ProblemResponse:
        return ProblemResponse(_validation_problem(error))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> ProblemResponse:
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (allowed := allowed_methods(request.scope)):
            # The framework knows only of the first route with the path.
            error.headers = {"Allow": ", ".join(allowed)}
        return ProblemResponse(http_problem(error.status_code, str(error.detail)), error.headers)

    @app.exception_handler(Exception)
    async def unexpected(_: Request, __: Exception) -> ProblemResponse:
        # The server logs the exception itself: Starlette raises it again behind this answer.
        return ProblemResponse(INTERNAL_ERROR)


def http_problem(status: int, detail: str) -> Problem:
    """The problem that an error of HTTP itself stands for."""
    title = HTTPStatus(status).phrase
    return Problem(type=_HTTP_TYPES.get(status, "http_error"), title=title, status=status, detail=detail)


def to_problem(error: HoldfastError) -> Problem:
    """The problem that an error of the service stands for."""
    return Problem(
        type=error.type,
        title=error.title,
        status=error.status_code,
        detail=error.detail,
        field=error.field,
        fix=error.fix,
        **error.members,
    )


def _validation_problem(error: RequestValidationError) -> Problem:
    found = _by_field(error.errors(), error.body)
    field, first = next(iter(found.items()))
    problem_type = first["type"] if first["type"] in _OWN_ERROR_TYPES else "invalid_request"
    return Problem(
        type=problem_type,
        title="Invalid request",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail=f"{field}: {first['msg']}",
        field=field,
        fix=first.get("ctx", {}).get("fix") or _FIXES.get(first["type"], "Correct the field; see /openapi.json."),
        errors=[FieldProblem(field=name, detail=item["msg"]) for name, item in found.items()],
    )


def _by_field(errors: Sequence[Any], body: Any) -> dict[str, Any]:
    """One error for each field, in order.

    All branches of a union report; that a content part is not a string says less than what is wrong inside it.
    """
    found: dict[str, Any] = {}
    for error in errors:
        field = _field_path(error["loc"], error["type"], body)
        if field not in found or found[field]["type"] == "string_type":
            found[field] = error
    return {
        field: error
        for field, error in found.items()
        if error["type"] != "string_type" or not any(other.startswith((f"{field}.", f"{field}[")) for other in found)
    }


def _field_path(location: Sequence[Any], error_type: str, body: Any) -> str:
    """The path as the client sees it: pydantic adds the names of union branches, which are not in the body."""
    source, *parts = location
    if source != "body":
        return str(parts[-1]) if parts else source
    path, found = "", body
    for part in parts:
        try:
            found = found[part]
        except (LookupError, TypeError):
            if error_type != "missing" or part != parts[-1]:
                continue
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.removeprefix(".") or "body"
