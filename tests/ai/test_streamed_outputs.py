"""Outputs that are streamed: how often they are made, whose they are, and what happens to the calls beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import BaseModel

from app.ai import (
    Agent,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    RunContext,
    ToolDefinition,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UsageLimits,
)
from app.ai.capabilities import HandleDeferredToolCalls
from app.ai.messages import ModelMessage, TextPart, ToolCallPart, ToolReturnPart
from app.ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from app.ai.models.test import TestModel

NOT_USED = "Output tool not used - a final result was already processed."
NOT_EXECUTED = "Tool not executed - a final result was already processed."
FAR = ToolDefinition(name="far", parameters_json_schema={"type": "object", "properties": {}})


def streamed(*responses: list[Any]) -> FunctionModel:
    """A model that streams one list of items after another."""
    left = iter(responses)

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for item in next(left):
            yield item

    return FunctionModel(stream_function=stream)


def called(name: str, args: str = "{}", id: str = "id", index: int = 0) -> dict[int, DeltaToolCall]:
    return {index: DeltaToolCall(name, args, tool_call_id=id)}


async def read_all(ctx: RunContext[None], events: Any) -> None:
    async for _ in events:
        pass


class Place(BaseModel):
    city: str
    country: str | None = None


PLACE = [called("final_result", '{"city": "Ro'), {0: DeltaToolCall(json_args='me"}')}]


@pytest.mark.parametrize(
    ("read", "seen"),
    [
        ("output", [("Ro", True), ("Rome", True), ("Rome", False)]),
        ("text", [("Ro", True), ("Rome", True), ("Rome", False)]),
        ("delta", [("Rome", False)]),
        ("get", [("Rome", False)]),
    ],
)
async def test_validators_see_each_partial_output_once_and_the_whole_one_once(read: str, seen: list[Any]):
    log: list[tuple[str, bool]] = []
    agent = Agent(streamed(["Ro", "me"]))

    @agent.output_validator
    def note(ctx: RunContext[None], output: str) -> str:
        log.append((output, ctx.partial_output))
        return output

    async with agent.run_stream("go") as result:
        if read == "output":
            assert [output async for output in result.stream_output(debounce_by=None)][-1] == "Rome"
        elif read != "get":
            assert [text async for text in result.stream_text(delta=read == "delta", debounce_by=None)]
        assert await result.get_output() == await result.get_output() == "Rome"
    assert log == seen


async def test_who_reads_an_output_gets_a_copy_that_may_be_changed():
    agent = Agent(streamed(PLACE), output_type=Place)
    async with agent.run_stream("go") as result:
        async for output in result.stream_output(debounce_by=None):
            output.city = "changed"
        first = await result.get_output()
        first.city = "changed"
        assert await result.get_output() == Place(city="Rome")


async def test_a_response_that_proved_no_result_has_no_output():
    agent = Agent(streamed([called("noop")], ["done"]))
    agent.tool_plain(name="noop")(lambda: None)
    async with agent.iter("go") as run:
        node = run.next_node
        while not Agent.is_model_request_node(node):
            node = await anext(run)
        async with node.stream(run.ctx) as stream:
            assert [output async for output in stream.stream_output()] == []
            with pytest.raises(UnexpectedModelBehavior):
                await stream.get_output()


async def test_thinking_between_texts_does_not_set_them_apart():
    agent = Agent(streamed(["one ", {7: DeltaThinkingPart("hm")}, "two"]))
    async with agent.run_stream("go") as result:
        assert [text async for text in result.stream_text(delta=True, debounce_by=None)] == ["one ", "two"]


async def test_text_of_a_function_model_is_one_part_wherever_it_comes():
    agent = Agent(streamed(["one ", called("noop", index=1), "two"], ["done"]))
    agent.tool_plain(name="noop")(lambda: None)
    result = await agent.run("go", event_stream_handler=read_all)
    assert result.all_messages()[1].parts == [TextPart("one two"), ToolCallPart("noop", "{}", "id")]


async def test_what_exceeds_the_limit_is_not_handed_out():
    agent = Agent(TestModel(custom_output_text="one two three"))
    texts: list[str] = []
    with pytest.raises(UsageLimitExceeded):
        async with agent.run_stream("go", usage_limits=UsageLimits(output_tokens_limit=2)) as result:
            async for text in result.stream_text(debounce_by=None):
                texts.append(text)
    assert texts == ["one ", "one two "]


async def test_a_cancelled_stream_ends_for_its_reader_and_keeps_what_came():
    agent = Agent(streamed([f"{number} " for number in range(9)]))
    texts: list[str] = []
    async with agent.run_stream("go") as result:
        async for text in result.stream_text(debounce_by=None):
            texts.append(text)
            await result.cancel()
        assert texts == ["0 "] and not result.is_complete
        assert await result.get_output() == "0 "
    assert result.all_messages()[-1].parts == [TextPart("0 ")]


@pytest.mark.parametrize("read", ["stream_text", "stream_output", "stream_response", "stream_responses"])
async def test_a_reader_that_stops_early_leaves_nothing_behind(read: str):
    before = asyncio.all_tasks()
    async with Agent(TestModel(custom_output_text="one two three")).run_stream("go") as result:
        async for _ in getattr(result, read)():
            break
    # asyncio itself closes the generator that was left, by a task of one turn.
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


def test_a_sync_stream_marks_its_last_response():
    result = Agent(TestModel(custom_output_text="one two")).run_stream_sync("go")
    assert [last for _, last in result.stream_responses(debounce_by=None)] == [False, False, False, True]
    assert result.is_complete


# Calls beside a result that is streamed


def far_and_near(model: FunctionModel, **options: Any) -> tuple[Agent[None, Any], list[str]]:
    done: list[str] = []
    agent: Agent[None, Any] = Agent(
        model, output_type=[Place, DeferredToolRequests], toolsets=[ExternalToolset([FAR])], **options
    )

    @agent.tool_plain
    def near() -> str:
        done.append("near")
        return "from near"

    @agent.tool_plain
    def later() -> str:
        raise CallDeferred

    return agent, done


@pytest.mark.parametrize(
    ("strategy", "executed", "parts"),
    [
        ("early", [], [("final_result", NOT_USED), ("near", NOT_EXECUTED)]),
        ("graceful", ["near"], [("final_result", NOT_USED), ("near", "from near")]),
        ("exhaustive", ["near"], [("final_result", "Final result processed."), ("near", "from near")]),
    ],
)
async def test_a_deferred_call_that_comes_first_is_the_result_and_stays_open(
    strategy: Any, executed: list[str], parts: list[Any]
):
    calls = [called("far", id="1"), called("final_result", '{"city": "Rome"}', "2", 1), called("near", id="3", index=2)]
    agent, done = far_and_near(streamed(calls), end_strategy=strategy)
    async with agent.run_stream("go") as result:
        output = await result.get_output()
        assert output == await result.get_output() == DeferredToolRequests(calls=[ToolCallPart("far", "{}", "1")])
    assert done == executed
    answers = [part for part in result.all_messages()[-1].parts if isinstance(part, ToolReturnPart)]
    assert [(part.tool_name, part.content) for part in answers] == parts
    resumed = await agent.run(
        model=streamed(PLACE),
        message_history=result.all_messages(),
        deferred_tool_results=DeferredToolResults(calls={"1": "here"}),
        event_stream_handler=read_all,
    )
    assert resumed.output == Place(city="Rome")


async def test_what_a_function_beside_it_defers_is_deferred_too():
    agent, _ = far_and_near(
        streamed([called("far", id="1"), called("later", id="2", index=1)]), end_strategy="graceful"
    )
    async with agent.run_stream("go") as result:
        output = await result.get_output()
    assert [call.tool_call_id for call in output.calls] == ["1", "2"]


async def test_a_deferred_call_that_a_capability_answers_does_not_end_the_stream():
    def answer(ctx: RunContext[None], requests: DeferredToolRequests) -> DeferredToolResults:
        return DeferredToolResults(calls={call.tool_call_id: "here" for call in requests.calls})

    agent, _ = far_and_near(streamed([called("far", id="1")], PLACE), capabilities=[HandleDeferredToolCalls(answer)])
    async with agent.run_stream("go") as result:
        assert await result.get_output() == Place(city="Rome")
    answered = result.all_messages()[2].parts[0]
    assert isinstance(answered, ToolReturnPart) and answered.content == "here"
