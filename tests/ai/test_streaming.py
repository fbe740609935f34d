"""Streaming results: what a caller reads while the model still speaks."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from app.ai import Agent, ModelRetry, RunContext, ToolOutput, UserError
from app.ai.deferred import DeferredToolRequests
from app.ai.exceptions import UnexpectedModelBehavior, UsageLimitExceeded
from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from app.ai.models.test import TestModel
from app.ai.output import NativeOutput
from app.ai.result import StreamedRunResult
from app.ai.usage import UsageLimits
from tests.ai.scripted import call, scripted


def streamed(*items: Any) -> FunctionModel:
    """A model that streams these items."""

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        for item in items:
            yield item

    return FunctionModel(stream_function=stream)


class Person(BaseModel):
    name: str
    age: int | None = None


PERSON = (
    {0: DeltaToolCall("final_result")},
    {0: DeltaToolCall(json_args='{"name": "A')},
    {0: DeltaToolCall(json_args='da", "age"')},
    {0: DeltaToolCall(json_args=": 36}")},
)


async def test_text_is_streamed_as_it_grows_and_the_last_output_is_the_whole_one():
    agent = Agent(streamed("The ", "cat ", "sat."))
    async with agent.run_stream("go") as result:
        assert not result.is_complete and len(result.all_messages()) == 1
        outputs = [output async for output in result.stream_output(debounce_by=None)]
        assert result.is_complete
    assert outputs == ["The ", "The cat ", "The cat sat.", "The cat sat."]
    assert [type(message) for message in result.all_messages()] == [ModelRequest, ModelResponse]
    assert result.response.text == "The cat sat." and result.response.state == "complete"
    assert result.new_messages_json() == result.all_messages_json()


async def test_text_can_be_read_whole_or_as_deltas():
    agent = Agent(streamed("The ", "cat ", "sat."))
    async with agent.run_stream("go") as result:
        assert [text async for text in result.stream_text(debounce_by=None)] == ["The ", "The cat ", "The cat sat."]
    async with agent.run_stream("go") as result:
        assert [text async for text in result.stream_text(delta=True, debounce_by=None)] == ["The ", "cat ", "sat."]
        assert result.is_complete
        assert [text async for text in result.stream_text(delta=True)] == ["The cat sat."]


async def test_what_comes_close_together_is_one_item():
    async with Agent(streamed("The ", "cat ", "sat.")).run_stream("go") as result:
        assert [text async for text in result.stream_text(debounce_by=30)] == ["The cat sat."]


async def test_a_pause_of_the_model_ends_an_item():
    go_on = asyncio.Event()

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "first"
        yield " second"
        await go_on.wait()
        yield " third"

    texts: list[str] = []
    async with Agent(FunctionModel(stream_function=stream)).run_stream("go") as result:
        async for text in result.stream_text(debounce_by=0.01):
            texts.append(text)
            go_on.set()
    assert texts[0].startswith("first") and texts[-1] == "first second third" and len(texts) >= 2


async def test_a_reader_that_stops_loses_nothing_for_the_next_one():
    before = asyncio.all_tasks()
    async with Agent(streamed("The ", "cat ", "sat.")).run_stream("go") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            break
        async for _ in result.stream_text(debounce_by=0):
            break
        assert [text async for text in result.stream_text(delta=True, debounce_by=30)] == ["The cat sat."]
    # asyncio itself closes the generators that were left, by tasks of one turn.
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_text_on_both_sides_of_a_native_tool_is_set_apart():
    from app.ai.messages import NativeToolCallPart, NativeToolReturnPart

    native = (
        {1: NativeToolCallPart("search", "{}", tool_call_id="s")},
        {2: NativeToolReturnPart("search", "found", "s")},
    )
    async with Agent(streamed("Before. ", *native, "After", ".")).run_stream("go") as result:
        texts = [text async for text in result.stream_text(delta=True, debounce_by=None)]
    assert texts == ["Before. ", "\n\n", "After", "."]


async def test_a_structured_output_is_streamed_as_far_as_it_makes_sense():
    async with Agent(streamed(*PERSON), output_type=Person).run_stream("go") as result:
        people = [person async for person in result.stream_output(debounce_by=None)]
        assert [response.state async for response in result.stream_response()] == ["complete"]
    assert people == [Person(name="A"), Person(name="Ada"), Person(name="Ada", age=36), Person(name="Ada", age=36)]
    last = result.all_messages()[-1]
    assert isinstance(last, ModelRequest) and isinstance(last.parts[0], ToolReturnPart)
    assert last.parts[0].content == "Final result processed."
    changed = result.all_messages(output_tool_return_content="thanks")[-1]
    assert isinstance(changed, ModelRequest) and isinstance(changed.parts[0], ToolReturnPart)
    assert changed.parts[0].content == "thanks"


async def test_a_list_is_streamed_item_by_item():
    model = streamed(
        {0: DeltaToolCall("final_result", '{"response": [{"name": "Ada"')},
        {0: DeltaToolCall(json_args=', "age": 36}, {"na')},
        {0: DeltaToolCall(json_args='me": "Bob", "age": 3')},
        {0: DeltaToolCall(json_args="}]}")},
    )
    ada, bob = {"name": "Ada", "age": 36}, {"name": "Bob", "age": 3}
    async with Agent(model, output_type=list[Record]).run_stream("go") as result:
        outputs = [output async for output in result.stream_output(debounce_by=None)]
    assert outputs == [[], [ada], [ada, bob], [ada, bob], [ada, bob]]


class Record(TypedDict):
    name: str
    age: int


async def test_native_json_is_streamed_too():
    agent = Agent(streamed('{"name": "A', 'da"}'), output_type=NativeOutput(Person))
    async with agent.run_stream("go") as result:
        people = [person async for person in result.stream_output(debounce_by=None)]
        with pytest.raises(UserError, match="stream_text"):
            await anext(result.stream_text())
    assert people == [Person(name="A"), Person(name="Ada"), Person(name="Ada")]


async def test_the_kind_of_a_union_has_to_be_known_before_there_is_an_output():
    class Pet(BaseModel):
        legs: int

    pieces = ('{"result": {"ki', 'nd": "Pet", "da', 'ta": {"legs": 4', "}}}")
    async with Agent(streamed(*pieces), output_type=NativeOutput([Person, Pet])).run_stream("go") as result:
        assert [output async for output in result.stream_output(debounce_by=None)][-1] == Pet(legs=4)


async def test_text_cannot_be_streamed_when_the_output_is_an_object():
    async with Agent(streamed(*PERSON), output_type=Person).run_stream("go") as result:
        with pytest.raises(UserError, match="use stream_output"):
            await anext(result.stream_text())


async def test_output_functions_and_validators_are_told_that_an_output_is_partial():
    seen: list[tuple[str, bool]] = []

    def rename(ctx: RunContext[None], name: str, age: int = 0) -> str:
        seen.append((name, ctx.partial_output))
        return name.upper()

    agent = Agent(streamed(*PERSON), output_type=ToolOutput(rename))

    @agent.output_validator
    def refuse_short(ctx: RunContext[None], output: str) -> str:
        if len(output) < 2:
            raise ModelRetry("too short")
        return output

    async with agent.run_stream("go") as result:
        assert [output async for output in result.stream_output(debounce_by=None)] == ["ADA", "ADA", "ADA"]
    assert seen[0] == ("A", True) and seen[-1] == ("Ada", False)


async def test_an_invalid_output_cannot_be_retried_once_it_was_streamed():
    broken = {0: DeltaToolCall("final_result", '{"age": "old"}')}
    async with Agent(streamed(broken), output_type=Person).run_stream("go") as result:
        with pytest.raises(UnexpectedModelBehavior, match="not valid"):
            await result.get_output()


async def test_responses_are_streamed_and_the_last_is_marked():
    async with Agent(streamed("The ", "cat.")).run_stream("go") as result:
        responses = [(response.text, last) async for response, last in result.stream_responses(debounce_by=None)]
    assert responses[0] == ("The ", False) and responses[-1] == ("The cat.", True)
    assert [last for _, last in responses].count(True) == 1


async def test_older_names_still_stream():
    agent = Agent(streamed("a ", "b"))
    async with agent.run_stream("go") as result:
        with pytest.warns(DeprecationWarning, match="stream_output"):
            assert [text async for text in result.stream(debounce_by=None)] == ["a ", "a b", "a b"]  # pyright: ignore[reportDeprecated]
        with pytest.warns(DeprecationWarning, match="validate_response_output"):
            assert await result.validate_structured_output(result.response) == "a b"  # pyright: ignore[reportDeprecated]
    async with agent.run_stream("go") as result:
        with pytest.warns(DeprecationWarning, match="stream_responses"):
            responses = result.stream_structured(debounce_by=None)  # pyright: ignore[reportDeprecated]
        assert [(response.text, last) async for response, last in responses][-1] == ("a b", True)


async def test_get_output_reads_everything_and_can_be_asked_again():
    async with Agent(streamed("The ", "cat.")).run_stream("go", metadata={"a": 1}) as result:
        assert await result.get_output() == "The cat." == await result.get_output()
        assert [output async for output in result.stream_output()] == ["The cat."]
        usage = result.usage
        assert result.usage() == usage and usage.requests == 1 and usage.output_tokens > 0
        assert result.timestamp() == result.response.timestamp == result.timestamp
        assert result.metadata == {"a": 1}
        last = result.all_messages()[-1]
        assert (result.run_id, result.conversation_id) == (last.run_id, last.conversation_id)
        # The response is what the model gave, the message what the run keeps.
        assert result.response == replace(last, run_id=None, conversation_id=None)
        assert [response async for response in result.stream_response()] == [last]


async def test_tools_run_before_the_stream_and_their_events_go_to_the_handler_only():
    model, _ = scripted(call("noop"), "all done")
    kinds: list[str] = []

    async def handler(ctx: RunContext[None], events: Any) -> None:
        kinds.extend([event.event_kind async for event in events])

    async with Agent(model, tools=[noop]).run_stream("go", event_stream_handler=handler) as result:
        assert kinds == [
            *("part_start", "part_end", "function_tool_call", "function_tool_result"),
            *("part_start", "final_result"),
        ]
        assert await result.get_output() == "all done "
    assert len(kinds) == 6


def noop() -> str:
    """Do nothing."""
    return "nothing"


@pytest.mark.parametrize(("strategy", "content"), [("early", "Tool not executed"), ("exhaustive", "nothing")])
async def test_tool_calls_after_the_output_are_answered_as_the_end_strategy_says(strategy: Any, content: str):
    items = ({0: DeltaToolCall("final_result", '{"name": "Ada"}')}, {1: DeltaToolCall("noop", "{}")})
    agent = Agent(streamed(*items), output_type=Person, tools=[noop], end_strategy=strategy)
    async with agent.run_stream("go") as result:
        assert await result.get_output() == Person(name="Ada")
    last = result.all_messages()[-1]
    assert isinstance(last, ModelRequest)
    answers = [str(part.content) for part in last.parts if isinstance(part, ToolReturnPart)]
    assert answers[0] == "Final result processed." and answers[1].startswith(content)


async def test_deferred_calls_end_the_stream_and_stay_open():
    agent: Agent[None, str | DeferredToolRequests] = Agent(
        streamed({0: DeltaToolCall("dangerous", "{}")}), output_type=[str, DeferredToolRequests]
    )

    @agent.tool_plain(requires_approval=True)
    def dangerous() -> None: ...

    async with agent.run_stream("go") as result:
        output = await result.get_output()
    assert isinstance(output, DeferredToolRequests) and output.approvals[0].tool_name == "dangerous"
    assert isinstance(result.all_messages()[-1], ModelResponse)


async def test_a_result_that_the_tool_phase_gave_is_wrapped():
    agent: Agent[None, str | DeferredToolRequests] = Agent(
        streamed({0: DeltaToolCall("ask", "{}")}), output_type=[str, DeferredToolRequests]
    )

    @agent.tool_plain
    def ask() -> None:
        from app.ai import CallDeferred

        raise CallDeferred

    async with agent.run_stream("go") as result:
        assert not result.is_complete
        assert [type(output) async for output in result.stream_output()] == [DeferredToolRequests]
        assert [last async for _, last in result.stream_responses()] == [True]
        assert result.is_complete
        assert result.response.tool_calls[0].tool_name == "ask"
        assert result.usage().requests == 1


async def test_leaving_a_stream_early_leaves_no_task_and_the_response_in_the_history():
    before = asyncio.all_tasks()
    async with Agent(streamed("The ", "cat ", "sat.")).run_stream("go") as result:
        async for _ in result.stream_text(debounce_by=0.001):
            break
    assert asyncio.all_tasks() == before
    assert result.response.text == "The cat sat."
    assert isinstance(result.all_messages()[-1], ModelResponse)


async def test_a_cancelled_stream_leaves_an_interrupted_response_that_can_be_continued():
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        if len(messages) > 1:
            yield "again"
            return
        yield "The "
        await asyncio.Event().wait()

    agent = Agent(FunctionModel(stream_function=stream))
    before = asyncio.all_tasks()
    async with agent.run_stream("go") as result:
        async for _ in result.stream_text(debounce_by=0.001):
            await result.cancel()
            break
        assert result.cancelled and not result.is_complete
    assert asyncio.all_tasks() == before
    assert (result.response.state, result.response.text) == ("interrupted", "The ")
    assert replace(result.all_messages()[-1], run_id=None, conversation_id=None) == result.response
    async with agent.run_stream("go on", message_history=result.all_messages()) as result:
        assert await result.get_output() == "again"


async def test_an_error_in_the_block_leaves_as_it_is_and_ends_the_request():
    before = asyncio.all_tasks()
    with pytest.raises(KeyError, match="mine"):
        async with Agent(streamed("The ", "cat.")).run_stream("go"):
            raise KeyError("mine")
    assert asyncio.all_tasks() == before


async def test_an_error_of_the_model_reaches_the_caller():
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "The "
        raise ConnectionError("lost")

    async with Agent(FunctionModel(stream_function=stream)).run_stream("go") as result:
        with pytest.raises(ConnectionError, match="lost"):
            await result.get_output()


async def test_token_limits_hold_while_a_stream_is_read():
    agent = Agent(streamed(*["word "] * 30))
    with pytest.raises(UsageLimitExceeded, match="output_tokens_limit"):
        async with agent.run_stream("go", usage_limits=UsageLimits(output_tokens_limit=5)) as result:
            await result.get_output()


async def test_the_stream_of_a_model_node_gives_its_output():
    agent = Agent(streamed(*PERSON), output_type=Person)
    async with agent.iter("go") as run:
        async for node in run:
            if agent.is_model_request_node(node):
                async with node.stream(run.ctx) as stream:
                    people = [person async for person in stream.stream_output(debounce_by=None)]
                    assert stream.usage().requests == 1 and stream.run_id == run.run_id
    assert people[-1] == Person(name="Ada", age=36)
    assert run.result is not None and run.result.output == people[-1]


async def test_an_invalid_output_of_a_node_is_retried_when_the_run_goes_on():
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[DeltaToolCalls]:
        first = len(messages) == 1
        yield {0: DeltaToolCall("final_result", "{}" if first else '{"name": "Ada"}')}

    agent = Agent(FunctionModel(stream_function=stream), output_type=Person)
    async with agent.iter("go") as run:
        async for node in run:
            if agent.is_model_request_node(node):
                async with node.stream(run.ctx) as events:
                    assert [event.event_kind async for event in events][-1] == "part_end"
    retry = run.all_messages()[2]
    assert isinstance(retry, ModelRequest) and isinstance(retry.parts[0], RetryPromptPart)
    assert run.result is not None and run.result.output == Person(name="Ada")


def test_streams_work_without_async():
    agent = Agent(streamed("The ", "cat ", "sat."))
    assert list(agent.run_stream_sync("go").stream_text(debounce_by=None)) == ["The ", "The cat ", "The cat sat."]
    result = agent.run_stream_sync("go")
    assert result.get_output() == "The cat sat." and result.is_complete
    assert list(result.stream_output()) == ["The cat sat."]
    assert isinstance(result.all_messages()[0], ModelRequest)
    with agent.run_stream_sync("go") as result:
        assert next(iter(result.stream_text(delta=True, debounce_by=None))) == "The "
    assert result.response.parts == [TextPart("The cat sat.")]


def first_text_of_a_sync_stream(closed: list[str]) -> str:
    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        try:
            while True:
                yield "more"
        finally:
            closed.append("model")

    result = Agent(FunctionModel(stream_function=endless)).run_stream_sync("go")
    return next(iter(result.stream_text(debounce_by=None)))


def test_a_sync_stream_that_is_forgotten_closes_itself():
    closed: list[str] = []
    assert first_text_of_a_sync_stream(closed) == "more"
    gc.collect()
    assert closed == ["model"]


async def test_a_sync_stream_may_be_forgotten_where_an_event_loop_is_running():
    closed: list[str] = []
    gc.disable()
    try:
        assert await asyncio.to_thread(first_text_of_a_sync_stream, closed) == "more"
    finally:
        gc.enable()
    gc.collect()
    assert closed == ["model"]


def test_an_error_at_the_start_of_a_sync_stream_is_raised():
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        raise ConnectionError("lost")
        yield ""

    with pytest.raises(ConnectionError, match="lost"):
        Agent(FunctionModel(stream_function=stream)).run_stream_sync("go")


async def test_a_sync_stream_refuses_a_running_event_loop():
    with pytest.raises(UserError, match="async with agent"):
        Agent(TestModel()).run_stream_sync("go")


async def test_the_name_of_the_agent_is_inferred_by_run_stream():
    my_agent = Agent(TestModel())
    async with my_agent.run_stream("go") as result:
        assert isinstance(result, StreamedRunResult)
    assert my_agent.name == "my_agent"


async def test_the_prompt_is_the_first_message_of_a_stream():
    async with Agent(TestModel(custom_output_text="hi")).run_stream("go") as result:
        first = result.all_messages()[0]
        assert isinstance(first, ModelRequest) and isinstance(first.parts[0], UserPromptPart)
        assert await result.get_output() == "hi"
