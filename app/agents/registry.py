"""Which agents this installation serves: the `AGENTS` of the configured modules, and the YAML files beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from app.ai import Agent
from app.ai.exceptions import UserError


def load_agents(modules: Sequence[str]) -> dict[str, Agent[Any, Any]]:
    """The agents of these modules by name, which may not repeat.

    A module has an `AGENTS` of its own; a package may instead, or besides, have `*.yaml` files, each an agent spec.

    Raises:
        UserError: a module cannot be imported, has no agents, or some that are not what they should be.
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


def load_providers(modules: Sequence[str], agents: Collection[str]) -> dict[str, Callable[[dict[str, Any]], Any]]:
    """What makes the dependencies of runs, by the agent's name: the `DEPS` of the modules that `agents` are from.

    Raises:
        UserError: a provider cannot be called, or belongs to no agent.
    """
    providers: dict[str, Callable[[dict[str, Any]], Any]] = {}
    for module in dict.fromkeys(modules):
        found: object = getattr(import_module(module), "DEPS", {})
        if not isinstance(found, Mapping):
            raise UserError(f'`DEPS` in {module} must be a `{{"name of an agent": provider}}`.')
        for name, provider in cast("Mapping[object, object]", found).items():
            if not isinstance(name, str) or name not in agents:
                raise UserError(f"`DEPS` in {module} has a provider for {name!r}, but there is no such agent.")
            if not callable(provider):
                raise UserError(f"`DEPS[{name!r}]` in {module} is a {type(provider).__name__}; it must be a function.")
            providers[name] = provider
    return providers


def _agents_of(module: str) -> dict[str, Agent[Any, Any]]:
    try:
        imported = import_module(module)
    except Exception as err:
        raise UserError(f"The agents module {module!r} cannot be imported: {type(err).__name__}: {err}") from err
    files = _spec_files(imported)
    found: object = getattr(imported, "AGENTS", {} if files else None)
    if not isinstance(found, Mapping):
        raise UserError(f'The agents module {module!r} needs an `AGENTS = {{"name": agent}}`.')
    coded = dict(_checked(module, name, agent) for name, agent in cast("Mapping[object, object]", found).items())
    return _with_specs(module, coded, files)


def _spec_files(module: ModuleType) -> list[Path]:
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    return sorted(file for folder in folders for pattern in ("*.yaml", "*.yml") for file in folder.glob(pattern))


def _with_specs(module: str, agents: dict[str, Agent[Any, Any]], files: Sequence[Path]) -> dict[str, Agent[Any, Any]]:
    for file in files:
        # The process that answers HTTP knows agents too, but has no keys of their models.
        agent = Agent.from_file(file, defer_model_check=True)
        agent.name = agent.name or file.stem
        if agent.name in agents:
            raise UserError(f"Two agents of {module} are named {agent.name!r}, one of them in {file.name}. Rename one.")
        agents[agent.name] = agent
    return agents


def _checked(module: str, name: object, agent: object) -> tuple[str, Agent[Any, Any]]:
    if not isinstance(name, str) or not name:
        raise UserError(f"`AGENTS` in {module} has the name {name!r}; a name is a text that is not empty.")
    if not isinstance(agent, Agent):
        raise UserError(f"`AGENTS[{name!r}]` in {module} is a {type(agent).__name__}; it must be an `Agent`.")
    return name, cast("Agent[Any, Any]", agent)
