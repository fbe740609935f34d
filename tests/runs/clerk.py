"""An agent whose tools wait for somebody. Its prompt is JSON: the calls of its one turn, as [tool, args] pairs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
from pathlib import Path
from typing import Any

from app.ai import Agent, ApprovalRequired, RunContext
from app.ai.capabilities import Capability
from app.ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.tools import ToolDefinition
from app.ai.toolsets import ExternalToolset
from app.ai.usage import RequestUsage
from tests.crash.agents import EFFECTS, effect, prompt_of


async def clerk_model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Makes its calls, then tells what the tools answered."""
    if not any(isinstance(message, ModelResponse) for message in messages):
        wanted: list[Any] = json.loads(prompt_of(messages))
        return ModelResponse(
            parts=[ToolCallPart(name, args, tool_call_id=f"c{number}") for number, (name, args) in enumerate(wanted)]
        )
    answers = [
        [part.tool_name, part.content, part.outcome] for part in messages[-1].parts if isinstance(part, ToolReturnPart)
    ]
    # As another model would answer, one that has a price.
    usage = RequestUsage(input_tokens=1000, output_tokens=100)
    return ModelResponse([TextPart(json.dumps(answers))], model_name="gpt-4o", provider_name="openai", usage=usage)


address_schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
clerk = Agent(
    FunctionModel(clerk_model),
    name="clerk",
    toolsets=[ExternalToolset([ToolDefinition(name="ship", parameters_json_schema=address_schema)], id="shop")],
    capabilities=[Capability(id="stamps", instructions="Stamp every paper.", defer_loading=True)],
)


@clerk.tool(requires_approval=True)
async def pay(ctx: RunContext[None], amount: int) -> str:
    """Never without a person."""
    effect("pay", ctx.idempotency_key)
    return f"paid {amount}"


@clerk.tool
async def look(ctx: RunContext[None]) -> str:
    """A sibling that waits for nobody."""
    logging.getLogger(__name__).info("looked")
    effect("look", ctx.idempotency_key)
    return "seen"


@clerk.tool
async def refund(ctx: RunContext[None], amount: int) -> str:
    """Asks only for large amounts, and twice for very large ones."""
    if amount > 10 and not ctx.tool_call_approved:
        raise ApprovalRequired(metadata={"why": "more than 10"})
    if amount > 100:
        raise ApprovalRequired(metadata={"why": "more than 100"})
    effect("refund", ctx.idempotency_key)
    return f"refunded {amount}"


@clerk.tool_plain(requires_approval=True, metadata={"wait_timeout": 0.2})
async def gift() -> str:
    """Denied when nobody cares."""
    return "given"


@clerk.tool_plain(requires_approval=True, metadata={"wait_timeout": 0.2, "on_wait_timeout": "approve"})
async def reminder() -> str:
    """Made when nobody cares."""
    return "sent"


@clerk.tool_plain(requires_approval=True, metadata={"wait_timeout": "soon"})
async def hurry() -> str:
    """Waits for no time at all."""
    return "done"


@clerk.tool
async def stumble(ctx: RunContext[None]) -> str:
    """Falls the first time, late enough for a sibling to be recorded: a failure interrupts what is still running."""
    await asyncio.sleep(0.5)
    first = '"stumble"' not in Path(os.environ[EFFECTS]).read_text()
    effect("stumble", ctx.idempotency_key)
    if first:
        raise RuntimeError("fell")
    return "up again"


@clerk.tool(requires_approval=True)
async def wreck(ctx: RunContext[None]) -> str:
    """Takes its worker down, twice, right after its work is done."""
    effect("wreck", ctx.idempotency_key)
    if Path(os.environ[EFFECTS]).read_text().count('"wreck"') < 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@clerk.tool
async def babble(ctx: RunContext[None]) -> Any:
    """Does its work, and returns what cannot be stored."""
    effect("babble", ctx.idempotency_key)
    return float("nan")


@clerk.tool_plain(defer_loading=True)
async def archive() -> str:
    """Put the papers into the cellar."""
    return "in the cellar"


async def scribe_model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Tells which prompts it can see."""
    seen = [part.content for message in messages for part in message.parts if isinstance(part, UserPromptPart)]
    return ModelResponse(parts=[TextPart(json.dumps(seen))])


scribe = Agent(FunctionModel(scribe_model), name="scribe")

AGENTS = {"clerk": clerk, "scribe": scribe}
