"""Servers of both protocol eras that ask back in the middle of a call, outside of durable runs and in them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult

from app.ai.exceptions import CallDeferred, ModelRetry
from app.ai.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHTTP
from app.ai.mcp.exchange import Host, hosted_by
from app.ai.mcp.questions import continued
from app.ai.messages import ModelMessage, ModelResponse, TextPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.usage import RequestUsage, RunUsage
from tests.ai.test_mcp import call, context, free_port, wait_for_port
from tests.crash.agents import EFFECTS

ROOT = Path(__file__).parents[2]
MODULE = ["-m", "tests.crash.curious_mcp_server"]
SEAT = {"action": "accept", "content": {"seat": "12A"}}


async def think(_messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    tokens = (info.model_settings or {}).get("max_tokens")
    return ModelResponse(parts=[TextPart(f"{tokens} tokens")], usage=RequestUsage(input_tokens=5, output_tokens=2))


async def accept(_context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
    return ElicitResult(action="accept", content={"seat": params.message})


def curious(*arguments: str, effects: Path, **options: Any) -> MCPServerStdio:
    env = {EFFECTS: str(effects)}
    return MCPServerStdio(sys.executable, [*MODULE, *arguments], env=env, cwd=ROOT, timeout=60, **options)


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("curious") / "effects"


@pytest.fixture(scope="module", params=["2026-07-28", "2025-11-25"])
async def server(request: pytest.FixtureRequest, effects: Path) -> AsyncIterator[MCPServer]:
    """A server that may ask everything; a callback answers its questions."""
    old = ["old"] if request.param == "2025-11-25" else []
    options: dict[str, Any] = {"sampling_model": FunctionModel(think), "max_sampling_tokens": 40}
    async with curious(*old, effects=effects, roots=["/tmp"], elicitation_callback=accept, **options) as server:
        yield server


async def answers(server: MCPServer, tool: str, **fields: Any) -> Any:
    return await call(server, tool, {}, **fields)


async def test_a_callback_answers_what_a_person_is_asked(server: MCPServer) -> None:
    first, second = await answers(server, "twice")
    assert first["first"] == {"action": "accept", "content": {"seat": "Which seat there?"}}
    assert second["second"]["content"] == {"seat": "Which seat back?"}


async def test_a_model_answers_within_the_limits_and_counts_for_the_run(server: MCPServer) -> None:
    ctx = context(tool_name="think")
    tools = await server.get_tools(ctx)
    first, second = await server.call_tool("think", {}, ctx, tools["think"])
    assert first["a"]["content"]["text"] == second["b"]["content"]["text"] == "40 tokens"
    assert ctx.usage == RunUsage(input_tokens=10, output_tokens=4)


async def test_a_server_learns_its_roots(server: MCPServer) -> None:
    assert await answers(server, "where") == [{"roots": {"roots": [{"uri": "file:///tmp"}]}}]


async def test_a_call_cannot_ask_a_model_more_often_than_allowed(effects: Path) -> None:
    limited: dict[str, Any] = {"sampling_model": FunctionModel(think), "max_samplings": 1, "effects": effects}
    async with curious(**limited) as new:
        with pytest.raises(ModelRetry, match="1 times in one call"):
            await call(new, "think", {})
    async with curious("old", **limited) as old:
        with pytest.raises(ModelRetry, match="1 times in one call"):
            await call(old, "think", {})


async def test_a_server_without_a_model_or_anybody_to_ask_is_told_so(effects: Path) -> None:
    async with curious(effects=effects) as new:
        with pytest.raises(ModelRetry, match="no model"):
            await call(new, "think", {})
        assert await answers(new, "book") == [{"seat": {"action": "cancel"}}]
    async with curious("old", effects=effects, sampling_model=FunctionModel(think), allow_sampling=False) as old:
        with pytest.raises(ModelRetry, match="Sampling not supported"):
            await call(old, "think", {})
        with pytest.raises(ModelRetry, match="Elicitation not supported"):
            await call(old, "book", {})


async def test_a_server_that_is_not_done_yet_is_asked_again(server: MCPServer) -> None:
    assert await call(server, "later", {}) == [{}, {}]


# --- calls that wait


def host() -> Host:
    return Host(repeatable=True, sampled=lambda *_: None)


@pytest.fixture(scope="module")
def old_port(effects: Path) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, *MODULE, "old", "--http", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, EFFECTS: str(effects)})
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.wait()


async def deferred(server: MCPServer, tool: str) -> dict[str, Any]:
    with hosted_by(host()), pytest.raises(CallDeferred) as stop:
        await call(server, tool, {}, idempotency_key="k")
    return cast("dict[str, Any]", stop.value.metadata)


async def test_over_http_each_question_belongs_to_its_own_call(old_port: int) -> None:
    async with MCPServerStreamableHTTP(f"http://127.0.0.1:{old_port}/mcp", id="old") as server:
        tools = ["book", "twice", "sign"]
        metadata = await asyncio.gather(*(deferred(server, tool) for tool in tools))
        assert [one["questions"]["1"]["message"] for one in metadata] == [
            "Which seat?",
            "Which seat there?",
            "Sign here.",
        ]
        with hosted_by(host()):
            given = continued(metadata[0], {"1": SEAT})  # pyright: ignore[reportArgumentType]  # plain data
            assert await answers(server, "book", tool_call_metadata=given) == [{"seat": SEAT}]


async def test_a_question_that_could_belong_to_several_calls_is_dismissed(
    effects: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with curious("old", effects=effects) as server:
        with hosted_by(host()):
            await server.get_tools(context())
            both = await asyncio.gather(call(server, "book", {}), call(server, "book", {}))
        assert both == ["dismissed", "dismissed"]
        assert "belongs to no single call" in caplog.text
        # One after the other they wait.
        assert (await deferred(server, "book"))["waiting_for"] == "input"
