"""What an agent may do with a server's tools: offered, approved, told to the model; progress and logs of calls."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.ai import Agent, DeferredToolRequests, DeferredToolResults
from app.ai.exceptions import ApprovalRequired
from app.ai.mcp import MCPProgress, MCPServerStdio, MCPServerUnavailable, on_progress
from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.run_context import RunContext
from app.ai.tools import ToolDefinition
from tests.ai.test_mcp import call, context, eventually

SERVER = str(Path(__file__).with_name("mcp_talkative_server.py"))


def talkative(**options: Any) -> MCPServerStdio:
    return MCPServerStdio(sys.executable, ["-P", SERVER], id="talkative", **options)


@pytest.fixture(scope="module")
async def shared() -> AsyncIterator[MCPServerStdio]:
    async with talkative() as server:
        yield server


# --- approval


async def approvals(**options: Any) -> list[str]:
    """The tools whose calls wait for a person. There is no server: the other calls fail."""
    server = MCPServerStdio("/does/not/exist", **options)
    waiting: list[str] = []
    for name, hints in HINTS.items():
        definition = ToolDefinition(name=name, metadata={"annotations": hints})
        tool = server.tool_for_tool_def(definition)
        try:
            await server.call_tool(name, {"force": name == "add"}, context(tool_name=name), tool)
        except ApprovalRequired:
            waiting.append(name)
        except MCPServerUnavailable:
            continue
    return waiting


HINTS: dict[str, dict[str, bool]] = {
    "look": {"read_only_hint": True, "destructive_hint": True},
    "add": {"destructive_hint": False},
    "wipe": {"destructive_hint": True},
    "plain": {},
}


def is_forced(ctx: RunContext[Any], definition: ToolDefinition, args: dict[str, Any]) -> bool:
    return bool(args["force"])


@pytest.mark.parametrize(
    ("options", "waiting"),
    [
        ({}, []),
        ({"trust_annotations": True}, ["wipe"]),
        ({"trust_annotations": True, "approval_required": False}, []),
        ({"approval_required": True}, ["look", "add", "wipe", "plain"]),
        ({"approval_required": {"plain", "look"}}, ["look", "plain"]),
        ({"approval_required": "plain"}, ["plain"]),
        ({"trust_annotations": True, "approval_required": is_forced}, ["add"]),
    ],
)
async def test_configuration_decides_about_approval_and_then_a_trusted_servers_word(
    options: dict[str, Any], waiting: list[str]
) -> None:
    assert await approvals(**options) == waiting


async def test_annotations_of_an_untrusted_server_do_not_lift_an_approval() -> None:
    assert "look" in await approvals(trust_annotations=False, approval_required={"look"})


async def test_a_destructive_call_is_made_once_a_person_agreed() -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        match messages[-1].parts[-1]:
            case ToolReturnPart(content=str(text)):
                return ModelResponse(parts=[TextPart(text)])
            case _:
                return ModelResponse(parts=[ToolCallPart("t_wipe", {"what": "disk"}, tool_call_id="c1")])

    server = talkative(trust_annotations=True, tool_prefix="t")
    agent = Agent(FunctionModel(answer), toolsets=[server], output_type=[str, DeferredToolRequests])
    async with agent:
        first = await agent.run("go")
        assert isinstance(first.output, DeferredToolRequests)
        assert [request.tool_call_id for request in first.output.approvals] == ["c1"]
        decided = DeferredToolResults(approvals={"c1": True})
        second = await agent.run(message_history=first.all_messages(), deferred_tool_results=decided)
    assert second.output == "wiped disk"


# --- what is offered


async def test_only_the_chosen_tools_are_offered() -> None:
    async with talkative(include_tools={"count"}, tool_prefix="t") as server:
        assert list(await server.get_tools(context())) == ["t_count"]
    async with talkative(exclude_tools=["count"]) as server:
        assert list(await server.get_tools(context())) == ["wipe"]


async def test_the_servers_instructions_reach_the_model_only_if_wanted(shared: MCPServerStdio) -> None:
    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        assert isinstance(messages[-1], ModelRequest)
        return ModelResponse(parts=[TextPart(repr(messages[-1].instructions))])

    wanted = Agent(FunctionModel(answer), toolsets=[talkative(include_instructions=True)], instructions="Be brief.")
    assert (await wanted.run("go")).output == repr("Be brief.\n\nCount before you wipe.")
    unwanted = Agent(FunctionModel(answer), toolsets=[shared], instructions="Be brief.")
    assert (await unwanted.run("go")).output == repr("Be brief.")


# --- what a server tells


async def test_progress_is_told_while_the_call_is_made(shared: MCPServerStdio) -> None:
    seen: list[MCPProgress] = []
    with on_progress(seen.append):
        assert await call(shared, "count", {"to": 3}) == "counted to 3"
    assert seen == [MCPProgress(number, 3, f"at {number}") for number in (1, 2, 3)]
    assert await call(shared, "count", {"to": 3}) == "counted to 3"
    assert len(seen) == 3


async def test_log_messages_go_to_our_log(shared: MCPServerStdio, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "app.ai.mcp.logs"):
        await call(shared, "count", {"to": 1})
        await eventually(lambda: bool(caplog.records))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "'talkative' (" in record.getMessage()
    assert record.getMessage().endswith('says: {"counted": 1}')
