"""/api/agents: what can be asked to run, and agents as data."""

from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response

from app.api.dependencies import Caller, Service, Text
from app.api.problem_types import problems
from app.api.schemas import AgentList
from app.api.security import YAML_TYPES
from app.runs.records import AgentDetail

router = APIRouter(prefix="/api/agents", tags=["agents"])

_SPEC: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"type": "object"}},
        **{media_type: {"schema": {"type": "string"}} for media_type in sorted(YAML_TYPES)},
    },
}


@router.get("", responses=problems())
async def list_agents(service: Service) -> AgentList:
    """All agents, by name."""
    return AgentList(agents=await service.spec_agents.list())


@router.get("/{name}", responses=problems("unknown_agent", "invalid_request"))
async def get_agent(name: Text, service: Service) -> AgentDetail:
    """One agent, and its versions if it came over HTTP."""
    return await service.spec_agents.get(name)


@router.put(
    "/{name}",
    openapi_extra={"requestBody": _SPEC},
    responses={
        200: {"description": "The newest version says the same already."},
        201: {"model": AgentDetail, "description": "A new version; runs in flight keep theirs."},
        **problems(
            "malformed_request",
            "body_too_large",
            "unsupported_media_type",
            "invalid_request",
            "invalid_spec",
            "capability_not_allowed",
            "unstorable_value",
            "agent_is_code",
        ),
    },
)
async def put_agent(name: Text, request: Request, response: Response, service: Service, caller: Caller) -> AgentDetail:
    """Make an agent of a spec (docs/agents.md) in JSON or YAML, or a new version of it."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    fmt: Literal["yaml", "json"] = "yaml" if media_type in YAML_TYPES else "json"
    text = (await request.body()).decode("utf-8", "surrogateescape")
    done = await service.spec_agents.put(name, text, fmt, by=caller.name)
    if done.created:
        response.status_code = 201
    return done.agent
