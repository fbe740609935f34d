"""Agents as data over HTTP: each change is a version, and a run keeps the version that it was started with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.ai import Agent
from app.ai.agent.spec import AgentSpec, SpecFormat
from app.ai.exceptions import UserError
from app.db import agents
from app.runs import refusals
from app.runs.agents import describe_agent
from app.runs.json_schemas import output_schema_problem, schema_problem
from app.runs.reach import answers_in_time
from app.runs.records import AgentDetail, AgentInfo, AgentVersion
from app.runs.text import find_unstorable


@dataclass(frozen=True)
class PutAgent:
    """An agent, and whether the request made a new version of it."""

    agent: AgentDetail
    created: bool


class SpecAgents:
    """The verbs on agents that came over HTTP. Those of `coded` are in files and cannot be changed here."""

    def __init__(self, engine: AsyncEngine, coded: Mapping[str, AgentInfo], capabilities: Sequence[str]) -> None:
        self._engine = engine
        self._coded = coded
        self._capabilities = capabilities

    @answers_in_time
    async def put(self, name: str, text: str, fmt: SpecFormat, *, by: str) -> PutAgent:
        """Keep a spec as the newest version of the agent, unless it says the same as that one."""
        if name in self._coded:
            raise refusals.agent_is_code(name)
        spec = self._checked(name, text, fmt)
        async with self._engine.begin() as connection:
            _, created = await agents.add_version(connection, name, spec, created_by=by)
            return PutAgent(await self._detail(connection, name), created)

    @answers_in_time
    async def get(self, name: str) -> AgentDetail:
        """One agent with its versions, newest first; one in a file has none."""
        if name in self._coded:
            return AgentDetail(**dict(self._coded[name]), versions=[])
        async with self._engine.connect() as connection:
            return await self._detail(connection, name)

    @answers_in_time
    async def list(self) -> list[AgentInfo]:
        """All agents, by name."""
        async with self._engine.connect() as connection:
            rows = await agents.newest_versions(connection)
        found = {row["name"]: _info(row) for row in rows} | dict(self._coded)
        return [found[name] for name in sorted(found)]

    async def pinned(self, connection: AsyncConnection, name: str) -> AgentInfo:
        """The newest version of an agent, for a run that is to be started."""
        newest = next(iter(await agents.versions(connection, name)), None)
        if newest is None:
            raise refusals.unknown_agent(name, self._coded, in_body=True)
        return _info(newest)

    async def _detail(self, connection: AsyncConnection, name: str) -> AgentDetail:
        rows = await agents.versions(connection, name)
        if not rows:
            raise refusals.unknown_agent(name, self._coded)
        return AgentDetail(**dict(_info(rows[0])), versions=[AgentVersion.of(row) for row in rows])

    def _checked(self, name: str, text: str, fmt: SpecFormat) -> dict[str, Any]:
        try:
            spec = AgentSpec.from_text(text, fmt)
            if spec.name not in (None, name):
                raise refusals.invalid_spec(f"The spec names the agent {spec.name!r}, the path {name!r}.", "name")
            for capability in (name for entry in spec.capabilities for name in entry.names):
                if capability not in self._capabilities:
                    raise refusals.capability_not_allowed(capability, self._capabilities)
            _check_schemas(spec)
            # Templates and arguments of capabilities are checked by making the agent.
            Agent[Any, Any].from_spec(spec, name=name, defer_model_check=True)
        except (UserError, ValueError) as error:
            raise refusals.invalid_spec(str(error)) from error
        data = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"json_schema_path", "name"})
        if found := find_unstorable(data):
            raise refusals.unstorable(found)
        return data


def _check_schemas(spec: AgentSpec) -> None:
    if spec.deps_schema is not None and (problem := schema_problem(spec.deps_schema)):
        raise refusals.invalid_spec(f"`deps_schema` is no JSON schema: {problem}.")
    if spec.output_schema is not None and (problem := output_schema_problem(spec.output_schema)):
        raise refusals.invalid_spec(f"`output_schema` is no JSON schema of an output: {problem}.")


def _info(row: RowMapping) -> AgentInfo:
    agent = Agent[Any, Any].from_spec(row["spec"], name=row["name"], defer_model_check=True)
    return describe_agent(row["name"], agent, str(row["version"]))
