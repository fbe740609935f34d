"""What runs wait for, and deciding it."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query

from app.api.dependencies import Caller, RunId, Service, StorableBody, Text
from app.api.problem_types import BODY, problems
from app.runs.cursor import APPROVAL_CURSOR
from app.runs.records import Approval, ApprovalPage
from app.runs.requests import AnswerInput, Decide

router = APIRouter(prefix="/api", tags=["approvals"])


@router.get("/approvals", responses=problems("invalid_request", "malformed_cursor"))
async def list_approvals(
    service: Service,
    status: Literal["open", "decided", "closed"] | None = None,
    cursor: Annotated[
        str | None,
        Query(description="`next_cursor` of the page before.", json_schema_extra={"pattern": APPROVAL_CURSOR}),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ApprovalPage:
    """Tool calls that wait for a decision, input, a result or the truth about a crash, or did; newest first."""
    return await service.approvals.list(status, cursor=cursor, limit=limit)


@router.post(
    "/runs/{run_id}/approvals/{tool_call_id}",
    dependencies=[StorableBody],
    responses=problems(
        *BODY,
        "unknown_run",
        "run_not_waiting",
        "already_decided",
        "wrong_kind_of_answer",
        "not_allowed",
        "invalid_arguments",
    ),
)
async def decide(run_id: RunId, tool_call_id: Text, request: Decide, service: Service, caller: Caller) -> Approval:
    """Approve a tool call, with other arguments if given, or deny it. Only the first decision counts."""
    return await service.approvals.decide(run_id, tool_call_id, request, by=caller.name)


@router.post(
    "/runs/{run_id}/inputs/{tool_call_id}",
    dependencies=[StorableBody],
    responses=problems(
        *BODY,
        "unknown_run",
        "run_not_waiting",
        "already_decided",
        "wrong_kind_of_answer",
        "not_allowed",
        "invalid_answer",
    ),
)
async def answer_input(
    run_id: RunId, tool_call_id: Text, request: AnswerInput, service: Service, caller: Caller
) -> Approval:
    """Answer what a tool call asks, checked against the JSON schemas of its questions. Only the first answer counts."""
    return await service.approvals.answer_input(run_id, tool_call_id, request, by=caller.name)
