"""/api/agents: what can be asked to run."""

from fastapi import APIRouter

from app.api.dependencies import Service, Text
from app.api.problem_types import problems
from app.api.schemas import AgentList
from app.runs.records import AgentInfo

router = APIRouter(prefix="/api/agents", tags=["agents"])


@router.get("", responses=problems())
async def list_agents(service: Service) -> AgentList:
    """All agents, by name."""
    return AgentList(agents=[service.agents[name] for name in sorted(service.agents)])


@router.get("/{name}", responses=problems("unknown_agent", "invalid_request"))
async def get_agent(name: Text, service: Service) -> AgentInfo:
    """One agent."""
    return service.agent(name)
