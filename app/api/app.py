"""The FastAPI application: routes, problems and access rules around one `RunService`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import Match, Route
from starlette.types import Scope

from app.api import agents, approvals, conversations, events, health, mcp, metrics, runs
from app.api.openapi import complete_openapi
from app.api.problems import add_problem_handlers
from app.api.security import AccessRules, Gate
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
    complete_openapi(app, needs_key=rules.api_key is not None)
    return app


def allowed_methods(scope: Scope) -> list[str]:
    """The methods of the path of a request, over all routes that have it."""
    routes = (route for noun in _NOUNS for route in noun.router.routes if isinstance(route, APIRoute))
    return sorted(
        {method for route in routes if route.matches(scope)[0] is not Match.NONE for method in route.methods or ()}
    )
