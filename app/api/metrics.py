"""/metrics: numbers for Prometheus."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from app.api.dependencies import Service
from app.api.problem_types import problems
from app.runs.metrics import CONTENT_TYPE

router = APIRouter(tags=["health"])


@router.get(
    "/metrics",
    response_class=PlainTextResponse,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text."},
        **problems(),
    },
)
async def metrics(service: Service) -> PlainTextResponse:
    """Runs, queue, steps, tokens and workers of the whole service, and the followers at this process."""
    return PlainTextResponse(await service.metrics(), media_type=CONTENT_TYPE)
