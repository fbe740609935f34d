"""/api/runs: start runs, look at them, and change their course."""

import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Response

from app.api.dependencies import MAX_WAIT_SECONDS, Caller, RunId, Service, StorableBody, Text, WaitSeconds
from app.api.problem_types import BODY, problems
from app.runs.cursor import RUN_CURSOR
from app.runs.records import MessageList, Run, RunPage, RunStatus, SentMessage, StepList
from app.runs.requests import ForkRun, ResumeRun, SendMessage, StartRun
from app.runs.service import Started

router = APIRouter(prefix="/api/runs", tags=["runs"])

_REPLAYED: Final[dict[str, Any]] = {
    "Idempotency-Replayed": {
        "description": "An earlier request with this key has done this.",
        "schema": {"type": "string", "const": "true"},
    },
}
_NEW_RUN: Final[dict[str, Any]] = {
    "Location": {"description": "Path of the run.", "schema": {"type": "string"}, "required": True},
    **_REPLAYED,
}
_START_HEADERS: Final[dict[str, Any]] = {
    **_NEW_RUN,
    "Preference-Applied": {
        "description": "How long the request was ready to wait.",
        "schema": {"type": "string", "pattern": "^wait=[0-9]+$"},
    },
}
_PREFER_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE)


@router.post(
    "",
    status_code=202,
    dependencies=[StorableBody],
    responses={
        200: {"model": Run, "description": "The run finished while the request waited.", "headers": _START_HEADERS},
        202: {"description": "The run is stored and will be executed. `Location` names it.", "headers": _START_HEADERS},
        **problems(
            *BODY,
            "unknown_agent_in_body",
            "unknown_conversation",
            "conversation_busy",
            "prompt_too_large",
            "idempotency_key_reused",
            "run_deleted",
            "not_allowed",
            "not_supported_yet",
            "invalid_deps",
            "invalid_output_schema",
        ),
    },
)
async def start_run(
    request: StartRun,
    service: Service,
    caller: Caller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    prefer: Annotated[str | None, Header(description="`wait=N`: answer when it settled, or after N seconds.")] = None,
) -> Run:
    """Start a run. The same `Idempotency-Key` and body again answer with the same run."""
    started = await service.start(request, idempotency_key=idempotency_key, caller=caller)
    run = started.run
    _tell(response, started)
    if wanted := _PREFER_WAIT.search(prefer or ""):
        seconds = min(int(wanted[1]), MAX_WAIT_SECONDS)
        response.headers["Preference-Applied"] = f"wait={seconds}"
        run = await service.wait(run.run_id, seconds)
        if run.is_finished:
            response.status_code = 200
    return run


@router.get("", responses=problems("invalid_request", "malformed_cursor"))
async def list_runs(
    service: Service,
    agent: Text | None = None,
    status: RunStatus | None = None,
    conversation_id: Text | None = None,
    cursor: Annotated[
        str | None, Query(description="`next_cursor` of the page before.", json_schema_extra={"pattern": RUN_CURSOR})
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> RunPage:
    """Runs, newest first."""
    given = {"agent": agent, "status": status, "conversation_id": conversation_id}
    filters = {name: value for name, value in given.items() if value is not None}
    return await service.list(filters, cursor=cursor, limit=limit)


@router.get("/{run_id}", responses=problems("unknown_run", "invalid_request"))
async def get_run(run_id: RunId, service: Service, seconds: WaitSeconds = 0) -> Run:
    """One run; with `wait`, as soon as it is finished or waits for somebody."""
    return await (service.wait(run_id, seconds) if seconds else service.get(run_id))


@router.delete(
    "/{run_id}",
    status_code=204,
    response_class=Response,
    responses=problems("unknown_run", "run_not_finished", "run_in_use", "invalid_request"),
)
async def delete_run(run_id: RunId, service: Service) -> None:
    """Remove a finished run and everything that is stored of it."""
    await service.delete(run_id)


@router.get("/{run_id}/steps", responses=problems("unknown_run", "invalid_request"))
async def list_steps(run_id: RunId, service: Service) -> StepList:
    """What the run did: its recorded steps with input, output, tokens and times."""
    return await service.steps(run_id)


@router.get("/{run_id}/messages", responses=problems("unknown_run", "invalid_request"))
async def list_messages(run_id: RunId, service: Service) -> MessageList:
    """The messages that the run added to its conversation."""
    return await service.messages(run_id)


@router.post(
    "/{run_id}/messages",
    status_code=202,
    dependencies=[StorableBody],
    responses={
        202: {"description": "The message is stored; the run will take it.", "headers": _REPLAYED},
        **problems(
            *BODY,
            "unknown_run",
            "message_too_late",
            "prompt_too_large",
            "idempotency_key_reused",
            "run_deleted",
            "not_allowed",
        ),
    },
)
async def send_message(
    run_id: RunId,
    request: SendMessage,
    service: Service,
    caller: Caller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> SentMessage:
    """Say something to a run on its way: it goes with the next model request, or makes one where the run would end."""
    sent = await service.send(run_id, request, idempotency_key=idempotency_key, caller=caller)
    if sent.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return sent.message


@router.post(
    "/{run_id}/cancel",
    responses=problems("unknown_run", "run_finished", "invalid_request", "unsupported_media_type"),
)
async def cancel_run(run_id: RunId, service: Service) -> Run:
    """Stop the run. Once it is cancelled, doing so again changes nothing."""
    return await service.cancel(run_id)


@router.post(
    "/{run_id}/fork",
    status_code=202,
    dependencies=[StorableBody],
    responses={
        202: {"description": "The new run is stored and will be executed. `Location` names it.", "headers": _NEW_RUN},
        **problems(
            *BODY,
            "unknown_run",
            "unknown_agent_in_body",
            "prompt_too_large",
            "no_such_place",
            "edit_too_late",
            "idempotency_key_reused",
            "run_deleted",
            "not_allowed",
        ),
    },
)
async def fork_run(
    run_id: RunId,
    request: ForkRun,
    service: Service,
    caller: Caller,
    response: Response,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> Run:
    """Start a run from the middle of another one: what came before is taken over, the rest is done anew."""
    started = await service.fork(run_id, request, idempotency_key=idempotency_key, caller=caller)
    _tell(response, started)
    return started.run


@router.post(
    "/{run_id}/resume",
    dependencies=[StorableBody],
    responses=problems(
        *BODY,
        "unknown_run",
        "run_not_resumable",
        "conversation_busy",
        "run_not_waiting",
        "already_decided",
        "wrong_kind_of_answer",
    ),
)
async def resume_run(run_id: RunId, service: Service, caller: Caller, request: ResumeRun | None = None) -> Run:
    """Let a failed or cancelled run go on (no body), or tell a waiting one what came of a tool call (with one).

    No finished step is done again. The calls are those made elsewhere, and those lost in a crash.
    """
    if request is None or request.tool_call_id is None:
        return await service.resume(run_id)
    await service.approvals.answer(run_id, request.tool_call_id, request, by=caller.name)
    return await service.get(run_id)


def _tell(response: Response, started: Started) -> None:
    response.headers["Location"] = f"/api/runs/{started.run.run_id}"
    if started.replayed:
        response.headers["Idempotency-Replayed"] = "true"
