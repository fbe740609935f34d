"""The FastAPI application: routes, problems and access rules around one `RunService`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match, Route
from starlette.types import Scope

from app.api import agents, approvals, conversations, events, health, mcp, metrics, runs
from app.api.problem_types import document_problems
from app.api.problems import add_problem_handlers
from app.api.security import OPEN_PATHS, AccessRules, Gate
from app.runs.service import RunService

_NOUNS = (runs, events, approvals, conversations, agents, health, metrics)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    service: RunService, rules: AccessRules, *, lifespan: Lifespan | None = None, ping_seconds: float = 15.0
) -> FastAPI:
    """The HTTP API of a service. `ping_seconds` keeps idle event streams open through proxies."""
    agent_tools = mcp.AgentTools(service)

    @asynccontextmanager
    async def with_agent_tools(app: FastAPI) -> AsyncGenerator[None]:
        async with lifespan(app) if lifespan else nullcontext(), agent_tools.serving():
            yield

    app = FastAPI(
        title="Holdfast",
        summary="A durable agent service: a prompt you sent survives kill -9.",
        version="0.1.0",
        lifespan=with_agent_tools,
    )
    app.state.service = service
    app.state.ping_seconds = ping_seconds
    for noun in _NOUNS:
        app.include_router(noun.router)
    app.router.routes.append(Route(mcp.PATH, agent_tools))
    add_problem_handlers(app, allowed_methods)
    app.add_middleware(Gate, rules=rules, keys=service.keys)
    _complete_openapi(app, needs_key=rules.api_key is not None)
    return app


def allowed_methods(scope: Scope) -> list[str]:
    """The methods of the path of a request, over all routes that have it."""
    routes = (route for noun in _NOUNS for route in noun.router.routes if isinstance(route, APIRoute))
    return sorted(
        {method for route in routes if route.matches(scope)[0] is not Match.NONE for method in route.methods or ()}
    )


def _complete_openapi(app: FastAPI, *, needs_key: bool) -> None:
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document_keys(document_problems(generate()), needs_key=needs_key)
        return app.openapi_schema

    app.openapi = openapi


def _document_keys(schema: dict[str, Any], *, needs_key: bool) -> dict[str, Any]:
    """Add to an OpenAPI document how callers show who they are: by either header, or not at all if keyless."""
    schema["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    schema["security"] = [{"bearer": []}, {"key": []}, *([] if needs_key else [{}])]
    for path in OPEN_PATHS & schema["paths"].keys():
        for operation in schema["paths"][path].values():
            operation["security"] = []
    return schema
