"""Which agents this installation serves: the `AGENTS` of the configured modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, cast

from app.ai import Agent
from app.ai.exceptions import UserError


def load_agents(modules: Sequence[str]) -> dict[str, Agent[Any, Any]]:
    """The agents of these modules by name. Each module has an `AGENTS` of its own; names may not repeat.

    Raises:
        UserError: a module cannot be imported, has no `AGENTS`, or one that is not what it should be.
    """
    agents: dict[str, Agent[Any, Any]] = {}
    origins: dict[str, str] = {}
    for module in dict.fromkeys(modules):
        for name, agent in _agents_of(module).items():
            if name in agents:
                raise UserError(
                    f"Two agents are named {name!r}: in {origins[name]} and in {module}. Rename one of them."
                )
            agents[name] = agent
            origins[name] = module
    return agents


def _agents_of(module: str) -> dict[str, Agent[Any, Any]]:
    try:
        found: object = getattr(import_module(module), "AGENTS", None)
    except Exception as err:
        raise UserError(f"The agents module {module!r} cannot be imported: {type(err).__name__}: {err}") from err
    if not isinstance(found, Mapping):
        raise UserError(f'The agents module {module!r} needs an `AGENTS = {{"name": agent}}`.')
    agents = cast("Mapping[object, object]", found)
    return dict(_checked(module, name, agent) for name, agent in agents.items())


def _checked(module: str, name: object, agent: object) -> tuple[str, Agent[Any, Any]]:
    if not isinstance(name, str) or not name:
        raise UserError(f"`AGENTS` in {module} has the name {name!r}; a name is a text that is not empty.")
    if not isinstance(agent, Agent):
        raise UserError(f"`AGENTS[{name!r}]` in {module} is a {type(agent).__name__}; it must be an `Agent`.")
    return name, cast("Agent[Any, Any]", agent)
