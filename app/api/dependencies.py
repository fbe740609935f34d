"""What the routes share: the service, and parameters that are checked the same way everywhere."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Query, Request
from pydantic import StringConstraints

from app.runs import keys, refusals
from app.runs.service import RunService
from app.runs.text import find_unstorable

MAX_WAIT_SECONDS = 300


async def _service(request: Request) -> RunService:
    return request.app.state.service


async def _run_id(run_id: Annotated[UUID, Path(description="The run, a UUID.")]) -> str:
    return str(run_id)


async def storable_body(request: Request) -> None:
    """Refuse a JSON body with text or numbers that Postgres cannot store, before anything reads it."""
    body = await request.body()
    if body and (found := find_unstorable(json.loads(body))):
        raise refusals.unstorable(found)


async def _caller(request: Request) -> keys.Caller:
    return request.scope["caller"]


Caller = Annotated[keys.Caller, Depends(_caller)]
"""Who asks, as `app.api.security` found out."""
Service = Annotated[RunService, Depends(_service)]
RunId = Annotated[str, Depends(_run_id)]
StorableBody = Depends(storable_body)
Text = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^\x00]*$")]
"""A word in a path or a query; Postgres cannot compare with NUL."""
WaitSeconds = Annotated[
    float, Query(alias="wait", ge=0, le=MAX_WAIT_SECONDS, description="Seconds to wait for the run to settle.")
]
