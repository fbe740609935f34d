"""Agents whose every effect leaves a line in a file, so that a driver can count effects outside the processes."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.ai import Agent, RunContext, TextOutput
from app.ai.mcp import MCPServerStdio
from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, ToolReturnPart, UserPromptPart
from app.ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from app.ai.tools import ToolDefinition
from app.ai.toolsets import FunctionToolset

EFFECTS = "HOLDFAST_TEST_EFFECTS"
ANSWER = ["All ", "of ", "it ", "was ", "done, ", "in ", "order."]


def effect(name: str, key: str | None) -> None:
    """One line a effect; a line this short is written whole or not at all."""
    with Path(os.environ[EFFECTS]).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"name": name, "key": key, "pid": os.getpid()}) + "\n")


def prompt_of(messages: list[ModelMessage]) -> str:
    """The newest prompt."""
    prompts = [
        part.content
        for message in messages
        if isinstance(message, ModelRequest)
        for part in message.parts
        if isinstance(part, UserPromptPart)
    ]
    return str(prompts[-1])


def first_prompt(messages: list[ModelMessage]) -> str:
    """The prompt that a conversation began with."""
    return next(str(part.content) for part in messages[0].parts if isinstance(part, UserPromptPart))


def returns_of(messages: list[ModelMessage]) -> list[ToolReturnPart]:
    """What the tools of the last turn answered."""
    last = messages[-1]
    return [part for part in last.parts if isinstance(part, ToolReturnPart)]


def calls(*named: tuple[str, dict[str, Any]]) -> DeltaToolCalls:
    """Tool calls of one response, with ids that tests can name."""
    return {
        index: DeltaToolCall(name=name, json_args=json.dumps(args), tool_call_id=f"call-{name}")
        for index, (name, args) in enumerate(named)
    }


async def road_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """First both tools, then an answer in pieces, slowly enough for each piece to be stored on its own."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        effect("model-1", None)
        yield calls(("record", {"note": "n"}), ("effect", {"path": os.environ[EFFECTS], "note": "mcp"}))
        return
    effect("model-2", None)
    for piece in ANSWER:
        yield piece
        await asyncio.sleep(0.05)


mcp_server = MCPServerStdio(
    sys.executable,
    ["-m", "app.agents.demo.mcp_server"],
    id="recorder",
    idempotent_tools={"effect"},
    cwd=str(Path(__file__).parents[2]),
)
road = Agent(FunctionModel(stream_function=road_model), name="road", toolsets=[mcp_server])


@road.tool(idempotent=True)
async def record(ctx: RunContext[None], note: str) -> str:
    """Leave a line."""
    effect("record", ctx.idempotency_key)
    return f"recorded {note}"


async def careful_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Pays once, then tells what became of it."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        yield calls(("pay", {"amount": 7}), ("note", {}))
        return
    yield f"paid: {sorted(str(part.content) for part in returns_of(messages))}"


careful = Agent(FunctionModel(stream_function=careful_model), name="careful")


@careful.tool
async def pay(ctx: RunContext[None], amount: int) -> str:
    """Must never happen twice by itself. Slower than its sibling, which is recorded when this one is lost."""
    await asyncio.sleep(0.3)
    effect("pay", ctx.idempotency_key)
    return f"paid {amount}"


@careful.tool
async def note(ctx: RunContext[None]) -> str:
    """A sibling that is done at once."""
    effect("note", ctx.idempotency_key)
    return "noted"


async def patient_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    """Streams for as many tenths of a second as the prompt says."""
    effect("patient-start", None)
    for number in range(int(prompt_of(messages))):
        yield f"{number} "
        await asyncio.sleep(0.1)
    effect("patient-end", None)


patient = Agent(FunctionModel(stream_function=patient_model), name="patient")


async def naughty_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Calls the tool that the prompt names, then says goodbye."""
    if not any(isinstance(message, ModelResponse) for message in messages[-2:]):
        tool = prompt_of(messages)
        yield calls((tool, {"text": "a\x00b"} if tool == "takes_odd_text" else {}))
        return
    yield "bye"


naughty = Agent(FunctionModel(stream_function=naughty_model), name="naughty")


@naughty.tool_plain
async def leaks_cancelled() -> str:
    """As a library with a broken cancel scope does."""
    raise asyncio.CancelledError


@naughty.tool_plain
async def exits() -> str:
    """As a script does."""
    sys.exit(3)


@naughty.tool_plain
def exits_in_thread() -> str:
    """As a script does, outside the event loop."""
    sys.exit(3)


@naughty.tool_plain
async def interrupts() -> str:
    """As a shell does."""
    raise KeyboardInterrupt


@naughty.tool_plain
async def raises() -> str:
    """As any code may."""
    raise ZeroDivisionError("a tool divided by zero")


@naughty.tool_plain
async def returns_no_json() -> Any:
    """What no database can hold."""
    effect("no-json", None)
    return {"file": sys.stdout}


@naughty.tool_plain
async def returns_nan() -> float:
    """A number that JSON does not have."""
    return float("nan")


@naughty.tool_plain
async def returns_too_much() -> str:
    """More than a step may hold."""
    return "x" * (9 * 1024 * 1024)


@naughty.tool_plain
async def returns_odd_text() -> str:
    """What Postgres does not take in jsonb."""
    return "a\x00b\ud800c"


@naughty.tool_plain
async def takes_odd_text(text: str) -> int:
    """Arguments that Postgres does not take in jsonb."""
    return len(text)


async def silent_model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Answers nothing."""
    return ModelResponse(parts=[])


silent = Agent(FunctionModel(silent_model), name="silent")


async def memory_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    """Tells which prompts it can see."""
    seen = [part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    yield json.dumps(seen)


memory = Agent(FunctionModel(stream_function=memory_model), name="memory")


async def listener_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Calls the tools that its prompt names, then tells which prompts it can see, each turn anew."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        effect("listener-1", None)
        yield calls(*((name, {}) for name in first_prompt(messages).split()))
        return
    effect("listener-2", None)
    seen = [part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    yield json.dumps(seen)


listener = Agent(FunctionModel(stream_function=listener_model), name="listener")


@listener.tool(idempotent=True)
async def work(ctx: RunContext[None]) -> str:
    """Leave a line."""
    effect("work", ctx.idempotency_key)
    return "worked"


def shout(text: str) -> str:
    """An output function."""
    return text.upper()


judge = Agent(FunctionModel(stream_function=memory_model), name="judge", output_type=TextOutput(shout))


@judge.system_prompt
async def law() -> str:
    """A system prompt that is made anew for each run."""
    return "Judge."


async def fitted_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Calls every tool that it can see, then names them."""
    names = sorted(tool.name for tool in info.function_tools)
    if not any(isinstance(message, ModelResponse) for message in messages):
        yield calls(*((name, {"size": 3}) for name in names))
    else:
        yield f"tools: {names}"


async def only_at_first(ctx: RunContext[None], definition: ToolDefinition) -> ToolDefinition | None:
    """A tool that is there in the first step only."""
    return definition if ctx.run_step == 1 else None


async def small_enough(ctx: RunContext[None], size: int) -> None:
    """A check that counts how often it was made."""
    effect("checked", None)


fitting = FunctionToolset[None](id="fitting")
fitted = Agent(
    FunctionModel(stream_function=fitted_model),
    name="fitted",
    toolsets=[fitting.filtered(lambda ctx, definition: definition.name != "hidden")],
)


@fitting.tool(idempotent=True, prepare=only_at_first, args_validator=small_enough)
async def fit(ctx: RunContext[None], size: int) -> int:
    """Prepared and checked."""
    return size


@fitting.tool_plain
async def hidden(size: int) -> int:
    """Filtered away."""
    return size


class Verdict(BaseModel):
    """A structured output."""

    guilty: bool


async def chooser_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[DeltaToolCalls]:
    """Looks something up, then decides by an output tool."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        yield calls(("lookup", {}))
    else:
        yield calls((info.output_tools[0].name, {"guilty": False}))


chooser = Agent(FunctionModel(stream_function=chooser_model), name="chooser", output_type=Verdict)


@chooser.tool_plain(idempotent=True)
def lookup() -> list[str]:
    """A synchronous tool."""
    return ["a", "b"]


async def mcp_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Calls the MCP tool that the prompt names; ends with what it answered."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        yield calls((prompt_of(messages), {"exit_code": 3}))
    else:
        yield str([part.content for part in returns_of(messages)])


fragile_server = MCPServerStdio(
    sys.executable, ["-m", "app.agents.demo.mcp_server"], id="fragile", cwd=str(Path(__file__).parents[2])
)
fragile = Agent(FunctionModel(stream_function=mcp_model), name="fragile", toolsets=[fragile_server])
nowhere_server = MCPServerStdio(sys.executable, ["-c", "import sys; sys.exit('no such luck')"], id="nowhere")
nowhere = Agent(FunctionModel(stream_function=mcp_model), name="nowhere", toolsets=[nowhere_server])


class Blocker:
    """A stream that tells when it is closed."""

    async def __call__(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        effect("stream-open", None)
        try:
            yield "first "
            await asyncio.sleep(600)
        finally:
            effect("stream-closed", None)


blocked = Agent(FunctionModel(stream_function=Blocker().__call__), name="blocked")


async def boss_model(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
    """Delegates everything."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        yield calls(("delegate", {}))
    else:
        yield returns_of(messages)[0].model_response_str()


boss = Agent(FunctionModel(stream_function=boss_model), name="boss")


@boss.tool
async def delegate(ctx: RunContext[None]) -> str:
    """Runs another agent, which counts with the run."""
    effect("delegate", ctx.idempotency_key)
    return (await Agent(FunctionModel(remember)).run("inner", usage=ctx.usage)).output


async def remember(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Tells which prompts it can see, at once."""
    return ModelResponse([TextPart("".join([piece async for piece in memory_model(messages, info)]))])


AGENTS = {
    "boss": boss,
    "road": road,
    "careful": careful,
    "patient": patient,
    "naughty": naughty,
    "silent": silent,
    "memory": memory,
    "listener": listener,
    "blocked": blocked,
    "fragile": fragile,
    "nowhere": nowhere,
    "fitted": fitted,
    "judge": judge,
    "chooser": chooser,
}
