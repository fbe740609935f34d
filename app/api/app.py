"""The FastAPI application: routes, problems and access rules around one `RunService`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI

from app.api import agents, approvals, conversations, events, health, metrics, runs
from app.api.problems import add_problem_handlers, document_keys, document_problems, problems
from app.api.security import AccessRules, Gate
from app.runs.service import RunService

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    service: RunService, rules: AccessRules, *, lifespan: Lifespan | None = None, ping_seconds: float = 15.0
) -> FastAPI:
    """The HTTP API of a service. `ping_seconds` keeps idle event streams open through proxies."""
    app = FastAPI(
        title="Holdfast",
        summary="A durable agent service: a prompt you sent survives kill -9.",
        version="0.1.0",
        lifespan=lifespan,
    )
    app.state.service = service
    app.state.ping_seconds = ping_seconds
    for noun in (runs, events, approvals, conversations, agents, health, metrics):
        app.include_router(noun.router, responses=problems(401, 403, 421))
    add_problem_handlers(app)
    app.add_middleware(Gate, rules=rules, keys=service.keys)
    _complete_openapi(app)
    return app


def _complete_openapi(app: FastAPI) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document_keys(document_problems(generate()))
        return app.openapi_schema

    app.openapi = openapi
