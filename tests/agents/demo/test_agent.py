"""The demo agent, with its real model server and its real MCP server."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from app.agents.demo.agent import SLOW_VARIABLE, demo_agent
from app.agents.demo.effects import FILE_VARIABLE
from app.agents.demo.model import DemoModel, DemoProvider
from app.agents.demo.model_server import DELTA_VARIABLE
from app.ai import Agent
from app.ai.messages import ModelResponse, PartDeltaEvent, TextPartDelta, ToolCallPart


@pytest.fixture(autouse=True)
def effects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SLOW_VARIABLE, "0.01")
    monkeypatch.setenv(DELTA_VARIABLE, "0")
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "effects"))
    return tmp_path / "effects"


async def test_function_tools_and_the_mcp_server_answer_together(effects: Path) -> None:
    result = await demo_agent.run("Look up kill -9 and add 19 and 23, then what time is it in Tokyo?")
    steps = [
        [part.tool_name for part in message.parts if isinstance(part, ToolCallPart)]
        for message in result.all_messages()
        if isinstance(message, ModelResponse)
    ]
    assert steps == [["slow_lookup", "add"], ["get_current_time"], []]
    assert "add(a=19, b=23): 42\n" in result.output
    assert '"timezone":"Asia/Tokyo"' in result.output
    assert result.usage().requests == 3
    counted = Counter((line["tool"], line["phase"]) for line in map(json.loads, effects.read_text().splitlines()))
    assert counted == {("slow_lookup", "started"): 1, ("slow_lookup", "finished"): 1, ("add", "finished"): 1}


async def test_its_text_arrives_in_pieces() -> None:
    async with demo_agent.run_stream_events("count to 5") as events:
        deltas = [event.delta async for event in events if isinstance(event, PartDeltaEvent)]
    assert [delta.content_delta for delta in deltas if isinstance(delta, TextPartDelta)] == ["2 ", "3 ", "4 ", "5"]


def test_it_goes_on_working_in_another_event_loop() -> None:
    async def ask() -> str:
        return (await demo_agent.run("add 1 and 2")).output

    assert [asyncio.run(ask()), asyncio.run(ask())] == ["Here is what I found.\n- add(a=1, b=2): 3"] * 2


async def test_its_provider_takes_nothing_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://nowhere.invalid")
    assert "secret" not in str(DemoProvider().headers)
    assert (await Agent(DemoModel()).run("count to 3")).output == "1 2 3"
