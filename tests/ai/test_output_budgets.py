"""How often a model may try again to give its output: per output tool, and over the run for text."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.ai import Agent, ModelRetry, RunContext, TextOutput, ToolOutput, UnexpectedModelBehavior
from tests.ai.scripted import Answer, call, scripted


class City(BaseModel):
    name: str


BAD, GOOD, LOOK = call("final_result", "{}"), call("final_result", {"name": "Rome"}), call("look")


def look() -> str:
    return "seen"


def city_agent(*answers: Answer, **options: Any) -> Agent[None, Any]:
    model, _ = scripted(*answers)
    arguments: dict[str, Any] = {"output_type": City, **options}
    return Agent(model, tools=[look], **arguments)


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param((BAD, GOOD), id="one failure"),
        pytest.param(([BAD, call("final_result", "{}", id="2")], GOOD), id="two in one step count once"),
        pytest.param((BAD, LOOK, BAD, GOOD), id="a step without failure starts anew"),
        pytest.param(("Rome", BAD, GOOD), id="text and tools have a budget each"),
        pytest.param((BAD, "Rome", BAD, GOOD), id="text does not add to the failures of a tool"),
    ],
)
async def test_a_budget_of_one_is_enough(answers: tuple[Answer, ...]):
    assert (await city_agent(*answers).run("go")).output == City(name="Rome")


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        pytest.param((BAD, BAD), {}, id="tool"),
        pytest.param(("Rome", LOOK, "Rome"), {}, id="text is counted over the run"),
        pytest.param((BAD,), {"retries": {"output": 0}}, id="none"),
        pytest.param((BAD,), {"output_type": ToolOutput(City, max_retries=0), "retries": 3}, id="own"),
    ],
)
async def test_a_budget_that_is_used_up_fails_the_run(answers: tuple[Answer, ...], options: dict[str, Any]):
    with pytest.raises(UnexpectedModelBehavior, match="output retries") as failed:
        await city_agent(*answers, **options).run("go")
    assert isinstance(failed.value.__cause__, ValidationError)


async def test_validators_use_the_budget_of_the_tool():
    agent = city_agent(GOOD, GOOD, GOOD, output_type=ToolOutput(City, max_retries=2))

    @agent.output_validator
    def never(output: City) -> City:
        raise ModelRetry("Another one")

    with pytest.raises(UnexpectedModelBehavior, match="2") as failed:
        await agent.run("go")
    assert failed.value.__cause__ == ModelRetry("Another one")


async def test_functions_see_how_often_they_were_tried():
    seen: list[tuple[int, int, bool, str | None]] = []

    def third(ctx: RunContext[None], text: str) -> str:
        seen.append((ctx.retry, ctx.max_retries, ctx.last_attempt, ctx.tool_name))
        if len(seen) % 3:
            raise ModelRetry("Once more")
        return text

    model, _ = scripted("a", "b", "c")
    assert (await Agent(model, output_type=TextOutput(third), retries=2).run("go")).output == "c"
    model, _ = scripted(*[call("final_result", {"text": text}) for text in "abc"])
    assert (await Agent(model, output_type=third, retries=2).run("go")).output == "c"
    tries = [(0, 2, False), (1, 2, False), (2, 2, True)]
    assert seen == [(*tried, tool) for tool in (None, "final_result") for tried in tries]
