"""An agent whose dependencies are made by a provider, for the tests of deps."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from app.ai import Agent, RunContext
from app.ai.messages import ModelMessage, ModelResponse, TextPart
from app.ai.models.function import AgentInfo, FunctionModel

SECRET = "the-password-of-the-guest"
CALLS = "HOLDFAST_TEST_PROVIDER_CALLS"
GO = "HOLDFAST_TEST_GO"


async def _wait_and_answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    while not Path(os.environ[GO]).exists():
        await asyncio.sleep(0.02)
    return ModelResponse(parts=[TextPart(info.instructions or "")])


guest: Agent[dict[str, str], str] = Agent(FunctionModel(_wait_and_answer), name="guest", deps_type=dict[str, str])


@guest.instructions
def about(ctx: RunContext[dict[str, str]]) -> str:
    """Tells that the secret is there, not what it is."""
    return f"{ctx.deps['name']} {len(ctx.deps['secret'])}"


async def guest_deps(asked: dict[str, Any]) -> dict[str, str]:
    """Fetches the secret of the guest."""
    with Path(os.environ[CALLS]).open("a") as calls:
        calls.write(f"{asked}\n")
    if asked.get("name") == "nobody":
        raise LookupError("no such guest")
    return {"name": asked["name"], "secret": SECRET}


judge: Agent[None, str] = Agent(FunctionModel(_wait_and_answer), name="judge")


@judge.output_validator
def is_fair(output: str) -> str:
    """Accepts everything."""
    return output


AGENTS: dict[str, Agent[Any, Any]] = {"guest": guest, "judge": judge}
DEPS = {"guest": guest_deps}
