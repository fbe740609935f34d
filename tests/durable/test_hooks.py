"""Hooks in durable runs: which of them a replay runs again, and that steps keep their order."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

from app.ai import Agent, ModelRetry
from app.ai.capabilities import Hooks
from app.ai.messages import ToolCallPart
from app.ai.models.function import FunctionModel
from app.ai.steps import use_steps
from app.durable.journal import Envelope, Journal
from tests.ai.scripted import Script
from tests.durable.test_spans import RecordedJournal, UnsentSteps


class Answer(BaseModel):
    text: str


async def test_a_replay_runs_only_the_hooks_of_the_workflow_again() -> None:
    log: list[str] = []
    hooks = Hooks()

    def remember(point: str) -> None:
        async def around(ctx: Any, *, handler: Any, **about: Any) -> Any:
            log.append(point)
            value = next((about[name] for name in ("node", "request_context", "args", "output") if name in about), None)
            return await (handler() if point == "run" else handler(value))

        getattr(hooks.on, point)(around)

    inside = ["model_request", "tool_execute"]
    outside = ["run", "node_run", "tool_validate", "output_validate", "output_process"]
    for point in (*inside, *outside):
        remember(point)

    @hooks.on.before_model_request
    async def once(ctx: Any, request_context: Any) -> Any:
        if not records and not log.count("asked for a retry"):
            log.append("asked for a retry")
            raise ModelRetry("again")
        return request_context

    script = Script([ToolCallPart("add", {"a": 1}, "1")], [ToolCallPart("final_result", {"text": "two"}, "2")])
    agent = Agent(FunctionModel(script.answer), output_type=Answer, capabilities=[hooks])

    @agent.tool_plain
    def add(a: int) -> int:
        return a + 1

    records: dict[int, Envelope] = {}

    async def execute() -> tuple[list[str], list[str]]:
        log.clear()
        with use_steps(UnsentSteps(cast("Journal", RecordedJournal(records)))):
            result = await agent.run("go")
        assert result.output == Answer(text="two") and result.usage.requests == 2
        return [point for point in log if point in inside], [point for point in log if point in outside]

    asked, first = await execute()
    assert asked == ["model_request", "tool_execute", "model_request"]
    assert await execute() == ([], first)
    assert first.count("node_run") == 7 and first[-2:] == ["output_validate", "output_process"]
    assert [record["outcome"] for record in records.values()] == ["returned"] * 4
