"""Many runs with one MCP server, and one agent with many: what is left of them afterwards."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.ai import Agent
from app.ai.mcp import MCPServerStdio
from app.ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from app.ai.models.function import AgentInfo, FunctionModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SERVER = str(Path(__file__).parents[1] / "crash" / "tiny_mcp_server.py")
RUNS = 500
AT_ONCE = 50


@dataclass(frozen=True)
class Held:
    """What this process holds."""

    processes: int
    files: int
    tasks: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
        processes = {pid for file in children for pid in file.read_text().split()}
        return cls(len(processes), len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()))


def servers(amount: int) -> list[MCPServerStdio]:
    return [
        MCPServerStdio(sys.executable, ["-S", "-E", SERVER, f"tool_{number}"], id=f"tiny-{number}", timeout=120)
        for number in range(amount)
    ]


async def call_all(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Calls each tool once, then counts what came back."""
    if isinstance(messages[-1], ModelResponse) or len(messages) > 1:
        returned = [part for part in messages[-1].parts if isinstance(part, ToolReturnPart)]
        return ModelResponse(parts=[TextPart(str(sum(part.content.endswith(" done") for part in returned)))])
    return ModelResponse(parts=[ToolCallPart(tool.name, {}) for tool in info.function_tools])


async def run_often(agent: Agent[None, str], runs: int) -> None:
    """So many runs, fifty at once, each with the answers of all tools."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> str:
        async with places:
            return (await agent.run("go")).output

    outputs = await asyncio.gather(*(one() for _ in range(runs)))
    assert set(outputs) == {str(len(agent.toolsets) - 1)}


@pytest.mark.parametrize("amount", [1, 50], ids=["one server", "fifty servers"])
async def test_500_runs_leave_nothing_behind(amount: int) -> None:
    agent = Agent(FunctionModel(call_all), toolsets=servers(amount))
    before = Held.now()
    async with agent:
        await run_often(agent, AT_ONCE)
        warm = Held.now()
        assert warm.processes == before.processes + amount
        await run_often(agent, RUNS - AT_ONCE)
        assert Held.now() == warm
    assert Held.now() == before


async def test_servers_that_start_and_stop_with_their_runs_leave_nothing_behind() -> None:
    agent = Agent(FunctionModel(call_all), toolsets=servers(1))
    await run_often(agent, 1)
    before = Held.now()
    for _ in range(20):
        await run_often(agent, 3)
    assert Held.now() == before
