"""The demo agent: every kind of step that a run can have, without a key and without a network."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import sys
from collections.abc import Iterator

from app.agents.demo import effects
from app.agents.demo.model import DemoModel
from app.ai import Agent, RunContext
from app.ai.mcp import MCPServer, MCPServerStdio

SLOW_VARIABLE = "HOLDFAST_DEMO_SLOW_SECONDS"

_FACTS = {
    "dbos": "a library that keeps workflows in Postgres, so that they go on after a crash",
    "durable agents": "agents that write down each step before they take the next one",
    "holdfast": "the root-like part with which seaweed clings to a rock, whatever the sea does",
    "kill -9": "the signal that no process can catch, and the reason why this project exists",
    "postgres": "a database that has been losing no data since 1996",
}


def _servers() -> Iterator[MCPServer]:
    # The time server comes with the extra `demo`; without it the agent simply does not know the time.
    if importlib.util.find_spec("mcp_server_time") is not None:
        command = ["-m", "mcp_server_time", "--local-timezone", "UTC"]
        tools = {"get_current_time", "convert_time"}
        yield MCPServerStdio(sys.executable, command, id="time", timeout=30, idempotent_tools=tools)


demo_agent: Agent[None, str] = Agent(
    DemoModel(),
    name="demo",
    instructions="Answer with what your tools say. Look up what you do not know, and never guess a sum or a time.",
    toolsets=list(_servers()),
)


@demo_agent.tool(idempotent=True)
async def slow_lookup(ctx: RunContext[None], topic: str, seconds: float | None = None) -> str:
    """Look up a topic in a slow encyclopedia.

    Args:
        topic: What to look up.
        seconds: How long that takes; without it HOLDFAST_DEMO_SLOW_SECONDS, or one second.
    """
    effects.record("slow_lookup", "started", ctx.idempotency_key, topic=topic)
    await asyncio.sleep(float(os.environ.get(SLOW_VARIABLE, "1")) if seconds is None else seconds)
    effects.record("slow_lookup", "finished", ctx.idempotency_key, topic=topic)
    return _FACTS.get(topic.casefold(), f"the encyclopedia has no entry on {topic!r}")


@demo_agent.tool(idempotent=True)
async def add(ctx: RunContext[None], a: int | float, b: int | float) -> int | float:
    """Add two numbers.

    Args:
        a: The first number.
        b: The second number.
    """
    effects.record("add", "finished", ctx.idempotency_key, a=a, b=b)
    return a + b
