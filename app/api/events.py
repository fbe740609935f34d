"""/api/runs/{run_id}/events: follow a run as server-sent events, or read them in pages."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Annotated, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from app.api.dependencies import RunId, Service
from app.api.problem_types import problems
from app.durable.names import MESSAGE_EVENTS, STATE_EVENTS, STEP_EVENTS
from app.runs import refusals
from app.runs.records import Event, EventPage
from app.runs.service import RunService

router = APIRouter(prefix="/api/runs", tags=["runs"])

RECONNECT_MILLISECONDS = 1000
_SEQ = re.compile(r"[0-9]{1,18}")
_EVENT_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$", "description": "The event's seq."},
        "event": {"enum": [*STATE_EVENTS, *STEP_EVENTS, *MESSAGE_EVENTS], "description": "The event's type."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": "#/components/schemas/Event"},
        },
        "retry": {"type": "integer", "description": "Milliseconds to wait before connecting again."},
    },
}
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@router.get(
    "/{run_id}/events",
    response_model=None,
    responses={
        200: {
            "model": EventPage,
            "description": "Events above `after`: a stream that ends with the run; one page if only JSON is accepted.",
            "content": {"text/event-stream": {"itemSchema": _EVENT_SCHEMA}},
        },
        204: {"description": "The run is finished and has no events above `after`."},
        **problems("unknown_run", "invalid_request", "malformed_last_event_id"),
    },
)
async def follow_run(
    *,
    run_id: RunId,
    request: Request,
    service: Service,
    after: Annotated[int, Query(ge=0, lt=2**62, description="Only events above this seq.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000, description="Events in a page of JSON.")] = 500,
    accept: Annotated[str, Header(include_in_schema=False)] = "text/event-stream",
    last_event_id: Annotated[
        str, Header(description="Goes before `after`.", json_schema_extra={"pattern": f"^({_SEQ.pattern})?$"})
    ] = "",
) -> Response | EventPage:
    """Follow a run. Each event's id is its seq; reconnect with `Last-Event-ID` and nothing is lost or doubled."""
    if last_event_id:
        if not _SEQ.fullmatch(last_event_id):
            raise refusals.malformed_last_event_id(last_event_id)
        after = int(last_event_id)
    if "application/json" in accept and "text/event-stream" not in accept:
        return await service.events(run_id, after=after, limit=limit)
    start = await service.follow_from(run_id, after=after)
    if start is None:
        # An EventSource reconnects when a stream ends, unless it is told 204.
        return Response(status_code=204)
    stream = _stream(service, run_id, start, ping_seconds=request.app.state.ping_seconds)
    return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)


async def _stream(service: RunService, run_id: str, after: int, *, ping_seconds: float) -> AsyncIterator[bytes]:
    async with aclosing(service.follow(run_id, after, idle_seconds=ping_seconds)) as batches:
        async for batch in batches:
            yield _encode(batch) if batch else KEEPALIVE_COMMENT
    if service.draining:
        yield format_sse_event(retry=RECONNECT_MILLISECONDS)


def _encode(batch: Sequence[Event]) -> bytes:
    return b"".join(
        format_sse_event(data_str=event.model_dump_json(), event=event.type, id=str(event.seq)) for event in batch
    )
