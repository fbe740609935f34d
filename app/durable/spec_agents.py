"""Agents that came over HTTP, as a worker executes them: a run's pinned version, read once."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai import Agent
from app.db import agents
from app.durable.failures import RunError
from app.durable.outputs import checked_dict


class SpecAgents:
    """The versions that runs of this process are pinned to. A version never changes, so each is read once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._read: dict[tuple[str, int], Agent[Any, Any]] = {}

    async def agent(self, name: str, version: int) -> Agent[Any, Any]:
        """The agent of that version."""
        if (name, version) not in self._read:
            async with self._engine.connect() as connection:
                row = await agents.find_version(connection, name, version)
            if row is None:
                raise RunError("UnknownAgent", f"There is no version {version} of the agent {name!r}.")
            self._read[name, version] = _agent_of(row["spec"], name)
        return self._read[name, version]


def _agent_of(spec: dict[str, Any], name: str) -> Agent[Any, Any]:
    schema: dict[str, Any] | None = spec.get("output_schema")
    output_type: Any = str if schema is None else checked_dict(schema)
    return Agent.from_spec(spec, name=name, defer_model_check=True, output_type=output_type)
