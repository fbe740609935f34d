"""What the agent loop itself costs, without a model, a network or durability.

    .venv/bin/python benchmarks/agent_loop.py

Prints the CPU time of importing app.ai, of one turn (request, response, one tool call), and of one turn on top of a
history of 1,000 messages.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

from app.ai import Agent
from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.usage import UsageLimits

TURNS = 200
HISTORY = 1_000
NO_LIMITS = UsageLimits(request_limit=None)


def agent_of(turns: int) -> Agent[None, str]:
    """An agent that calls its tool `turns` times and then answers."""
    left = turns

    async def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        nonlocal left
        if left == 0:
            return ModelResponse(parts=[TextPart("done")])
        left -= 1
        return ModelResponse(parts=[ToolCallPart("look", {"key": "a"})])

    agent = Agent(FunctionModel(model))

    @agent.tool_plain
    async def look(key: str) -> str:
        """Look something up."""
        return key

    return agent


def cpu_milliseconds_of_a_turn(history: list[ModelMessage]) -> float:
    """Mean over `TURNS` turns, the cost of starting a run taken off."""

    async def measure(turns: int) -> float:
        agent = agent_of(turns)
        began = time.process_time()
        await agent.run("go", message_history=history, usage_limits=NO_LIMITS)
        return time.process_time() - began

    asyncio.run(measure(5))
    return (asyncio.run(measure(TURNS)) - asyncio.run(measure(0))) / TURNS * 1000


def cpu_seconds_of_import(module: str) -> float:
    """CPU of a fresh process that imports `module`, that of an empty one taken off; the best of five."""

    def process(code: str) -> float:
        program = f"{code}; import time; print(time.process_time())"
        return min(float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(5))

    return process(f"import {module}") - process("pass")


def main() -> None:
    """Print one line a figure."""
    pair: list[ModelMessage] = [ModelRequest(parts=[UserPromptPart("q")]), ModelResponse(parts=[TextPart("a")])]
    for module in ("pydantic, httpx", "app.ai; from app.ai import Agent"):
        print(f"import {module}: {cpu_seconds_of_import(module):.2f} s CPU")
    print(f"one turn: {cpu_milliseconds_of_a_turn([]):.2f} ms CPU")
    print(f"one turn after {HISTORY} messages: {cpu_milliseconds_of_a_turn(pair * (HISTORY // 2)):.2f} ms CPU")


if __name__ == "__main__":
    main()
