"""Agents that came over HTTP, as a worker executes them: a run's pinned version, read once."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai import Agent
from app.db import agents
from app.durable.failures import RunError


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
            self._read[name, version] = Agent.from_spec(row["spec"], name=name, defer_model_check=True)
        return self._read[name, version]
