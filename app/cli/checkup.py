"""Looking agents over before they are served: do their models and MCP servers answer?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx

from app.ai import Agent
from app.ai.exceptions import UserError
from app.ai.mcp import MCPServer
from app.ai.models import Model, infer_model
from app.ai.models.fallback import FallbackModel
from app.ai.models.wrapper import WrapperModel
from app.ai.toolsets import AbstractToolset
from app.db.checkup import Finding

_MODEL_SECONDS: Final = 10.0
_SERVER_SECONDS: Final = 60.0


async def check_agents(agents: Mapping[str, Agent[Any, Any]]) -> list[Finding]:
    """One finding for each model and each MCP server of the agents. No model is asked anything: that costs money."""
    models: dict[str, Model | UserError] = {}
    servers: dict[int, MCPServer] = {}
    for agent in agents.values():
        models |= dict(_models_of(agent))
        for toolset in agent.toolsets:
            toolset.apply(lambda leaf: _keep_server(leaf, servers))
    found = [_check_model(name, model) for name, model in sorted(models.items(), key=lambda item: item[0])]
    return list(await asyncio.gather(*found, *(_check_server(server) for server in servers.values())))


def _models_of(agent: Agent[Any, Any]) -> Iterator[tuple[str, Model | UserError]]:
    if isinstance(agent.model, str):
        try:
            yield from _leaves(infer_model(agent.model))
        except UserError as error:
            yield agent.model, error
    elif agent.model is not None:
        yield from _leaves(agent.model)


def _leaves(model: Model) -> Iterator[tuple[str, Model]]:
    match model:
        case WrapperModel():
            yield from _leaves(model.wrapped)
        case FallbackModel():
            for one in model.models:
                yield from _leaves(one)
        case _:
            yield model.model_id, model


def _keep_server(leaf: AbstractToolset[Any], servers: dict[int, MCPServer]) -> None:
    if isinstance(leaf, MCPServer):
        servers[id(leaf)] = leaf


async def _check_model(name: str, model: Model | UserError) -> Finding:
    thing = f"model {name}"
    if isinstance(model, UserError):
        return Finding(thing, str(model), "Set what is missing in the environment of the workers, or correct the name.")
    if (url := model.base_url) is None:
        return Finding(thing, "Needs no server.")
    try:
        async with httpx.AsyncClient(timeout=_MODEL_SECONDS) as http:
            # Any answer will do, also that this is no page or that a key is missing: it costs nothing.
            await http.get(url)
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        return Finding(thing, f"{url} does not answer: {reason}", "Check the network, HTTPS_PROXY and the base URL.")
    return Finding(thing, f"{url} answers, and a key is there.")


async def _check_server(server: MCPServer) -> Finding:
    thing = f"MCP server {server.id or server.target}"
    try:
        async with asyncio.timeout(_SERVER_SECONDS), server:
            tools = await server.list_tools()
    except Exception as error:
        reason = str(error) or type(error).__name__
        return Finding(thing, reason, f"Start it, or correct how it is reached: {server.target}")
    return Finding(thing, f"{len(tools)} tools.")
