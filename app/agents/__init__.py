"""The agents of this service, by the name under which they are run."""

from typing import Any

from app.agents.demo.agent import demo_agent
from app.ai import Agent

AGENTS: dict[str, Agent[Any, Any]] = {"demo": demo_agent}
