"""Agents for the fuzzed service: they ask no provider, and one of them waits for people."""

from __future__ import annotations

from typing import Any

from app.ai import Agent
from app.ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.tools import ToolDefinition
from app.ai.toolsets import ExternalToolset


async def _quick(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse(parts=[TextPart("done")])


async def _careful(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if any(isinstance(message, ModelResponse) for message in messages):
        return ModelResponse(parts=[TextPart("paid")])
    return ModelResponse(parts=[ToolCallPart("pay", {"amount": 3}, tool_call_id="pay-1")])


quick: Agent[Any, Any] = Agent(FunctionModel(_quick), name="quick")
careful: Agent[Any, Any] = Agent(FunctionModel(_careful), name="careful")


@careful.tool_plain(requires_approval=True)
async def pay(amount: int) -> str:
    """Pay."""
    return f"paid {amount}"


async def _shop(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if any(isinstance(message, ModelResponse) for message in messages):
        return ModelResponse(parts=[TextPart("sent")])
    return ModelResponse(parts=[ToolCallPart("ship", {"to": "Oslo"}, tool_call_id="ship-1")])


_ship = ToolDefinition(name="ship", parameters_json_schema={"type": "object", "properties": {"to": {"type": "string"}}})
shop: Agent[Any, Any] = Agent(FunctionModel(_shop), name="shop", toolsets=[ExternalToolset([_ship], id="carrier")])


def quick_deps(asked: dict[str, Any]) -> None:
    """Takes any deps, needs none."""


DEPS = {"quick": quick_deps}
AGENTS = {"quick": quick, "careful": careful, "shop": shop}
