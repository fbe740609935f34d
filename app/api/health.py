"""/livez and /readyz: for whatever starts, stops and balances this process."""

from fastapi import APIRouter

from app.api.dependencies import Service
from app.api.problem_types import problems
from app.api.schemas import Alive, Ready

router = APIRouter(tags=["health"])


@router.get("/livez", responses=problems(needs_key=False))
async def livez() -> Alive:
    """Whether the process answers at all; says nothing about Postgres."""
    return Alive()


@router.get("/readyz", responses=problems("database_unavailable", "not_migrated", "draining", needs_key=False))
async def readyz(service: Service) -> Ready:
    """Whether the process can serve requests now; if not, the problem says why."""
    await service.check_ready()
    return Ready()
