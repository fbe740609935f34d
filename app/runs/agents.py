"""What clients may know about the agents that can run."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from app.ai import Agent
from app.ai.models import Model
from app.ai.toolsets import FunctionToolset
from app.runs.records import AgentInfo


def describe_agents(
    agents: Mapping[str, Agent[Any, Any]], *, version: str, provided: Collection[str] = ()
) -> dict[str, AgentInfo]:
    """The agents as clients see them, by the names they are registered under; `provided` have a provider of deps."""
    return {name: describe_agent(name, agent, version, provided=name in provided) for name, agent in agents.items()}


def describe_agent(name: str, agent: Agent[Any, Any], version: str, *, provided: bool = False) -> AgentInfo:
    """One agent as clients see it."""
    functions = [toolset for toolset in agent.toolsets if isinstance(toolset, FunctionToolset)]
    return AgentInfo(
        name=name,
        version=version,
        description=agent.description,
        model=_model_name(agent.model),
        output_type=getattr(agent.output_type, "__name__", str(agent.output_type)),
        tools=sorted(tool for toolset in functions for tool in toolset.tools),
        toolsets=[toolset.label for toolset in agent.toolsets if toolset not in functions],
        deps_schema=agent.deps_schema or ({"type": "object"} if provided else None),
        takes_output_schema=not agent.output_validators,
    )


def _model_name(model: Model | str | None) -> str | None:
    return f"{model.system}:{model.model_name}" if isinstance(model, Model) else model
