"""Agents with real MCP servers. The prompt is the script: a list of turns, each a list of `[tool, arguments]`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from app.ai import Agent
from app.ai.mcp import MCPServer, MCPServerStdio, MCPServerStreamableHTTP
from app.ai.messages import ModelMessage, ModelResponse, TextPart, ToolReturnPart
from app.ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from app.ai.usage import RequestUsage
from tests.crash.agents import EFFECTS, effect, prompt_of

ROOT = str(Path(__file__).parents[2])
NPM_FOLDER = "HOLDFAST_TEST_NPM_FOLDER"
"""Where the servers from npm are installed."""
CURIOUS_URL = "HOLDFAST_TEST_CURIOUS_URL"
"""Where `curious_mcp_server` listens."""
EVERYTHING_URL = "HOLDFAST_TEST_EVERYTHING_URL"
PLAYGROUND = "HOLDFAST_TEST_PLAYGROUND"
"""A folder that the servers may write to."""


async def scripted(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """One turn of the script after the other; at its end, what the tools gave back."""
    turns: list[list[tuple[str, dict[str, Any]]]] = json.loads(prompt_of(messages))
    number = sum(isinstance(message, ModelResponse) for message in messages)
    effect(f"turn-{number + 1}", None)
    if number < len(turns):
        yield {
            index: DeltaToolCall(name=name, json_args=json.dumps(args), tool_call_id=f"call-{number}-{index}-{name}")
            for index, (name, args) in enumerate(turns[number])
        }
        return
    returned = [part for message in messages for part in message.parts if isinstance(part, ToolReturnPart)]
    yield json.dumps([[part.tool_name, part.model_response_str()] for part in returned])


def agent(name: str, server: MCPServer) -> Agent[None, str]:
    return Agent(FunctionModel(stream_function=scripted), name=name, toolsets=[server])


def fragile(name: str, *arguments: str) -> MCPServerStdio:
    """`fragile_mcp_server`; its word counts."""
    command = ["-m", "tests.crash.fragile_mcp_server", *arguments]
    environment = {EFFECTS: os.environ.get(EFFECTS, "")}
    return MCPServerStdio(sys.executable, command, cwd=ROOT, env=environment, id=name, trust_annotations=True)


def curious(name: str, *arguments: str) -> MCPServerStdio:
    """`curious_mcp_server`; it may ask a model, and says which of its tools are idempotent."""
    return MCPServerStdio(
        sys.executable,
        ["-m", "tests.crash.curious_mcp_server", *arguments],
        cwd=ROOT,
        env={EFFECTS: os.environ.get(EFFECTS, "")},
        id=name,
        trust_annotations=True,
        sampling_model=thinker,
        timeout=30,
    )


async def think(messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    effect("thought", None)
    usage = RequestUsage(input_tokens=7, output_tokens=3)
    return ModelResponse(parts=[TextPart(f"on {prompt_of(messages)}")], usage=usage)


thinker = FunctionModel(think, model_name="thinker")


def from_npm(name: str, *arguments: str, **options: Any) -> MCPServerStdio:
    """A server that tests install from npm."""
    command = Path(os.environ.get(NPM_FOLDER, ""), "node_modules", ".bin", f"mcp-server-{name}")
    return MCPServerStdio(str(command), arguments, id=name, timeout=30, trust_annotations=True, **options)


time_server = MCPServerStdio(
    sys.executable, ["-m", "mcp_server_time", "--local-timezone", "UTC"], id="time", timeout=30
)
playground = os.environ.get(PLAYGROUND, "")
everything_over_http = MCPServerStreamableHTTP(
    os.environ.get(EVERYTHING_URL, "http://127.0.0.1:1/mcp"),
    id="everything_http",
    trust_annotations=True,
    sampling_model=thinker,
    roots=[ROOT],
)
tiny_script = str(Path(ROOT, "tests/crash/tiny_mcp_server.py"))
tiny = MCPServerStdio(sys.executable, ["-S", "-E", tiny_script, "look"], id="tiny", trust_annotations=True, timeout=30)
SECRET = "sesame-7f3a"
"""Given to a server in every way there is."""
growing_script = str(Path(ROOT, "tests/crash/growing_mcp_server.py"))
growing = MCPServerStdio(
    sys.executable, [growing_script, f"--token={SECRET}"], env={"TOKEN": SECRET}, id="growing", timeout=30
)
# Nobody listens there, so a run tells why it failed.
unreachable = MCPServerStreamableHTTP(
    f"http://ann:{SECRET}@127.0.0.1:1/mcp?key={SECRET}", headers={"Authorization": f"Bearer {SECRET}"}, id="unreachable"
)
curious_over_http = MCPServerStreamableHTTP(
    os.environ.get(CURIOUS_URL, "http://127.0.0.1:1/mcp"), id="curious_http", trust_annotations=True
)
MCP_AGENTS = {
    "tiny": agent("tiny", tiny),
    "growing": agent("growing", growing),
    "unreachable": agent("unreachable", unreachable),
    "curious": agent("curious", curious("curious")),
    "wordy": agent("wordy", curious("wordy", "wordy")),
    "curious_old": agent("curious_old", curious("curious_old", "old")),
    "curious_http": agent("curious_http", curious_over_http),
    "killable": agent("killable", fragile("killable")),
    "killable_listing": agent("killable_listing", fragile("killable_listing", "listing")),
    "time": agent("time", time_server),
    "everything": agent(
        "everything", from_npm("everything", include_instructions=True, sampling_model=thinker, roots=[ROOT])
    ),
    "everything_http": agent("everything_http", everything_over_http),
    "filesystem": agent("filesystem", from_npm("filesystem", playground, approval_required=False)),
    "remembering": agent(
        "remembering", from_npm("memory", env={"MEMORY_FILE_PATH": f"{playground}/memory"}, approval_required=False)
    ),
}
