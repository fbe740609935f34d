"""The events of a run, and those who read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

import pytest

from app.ai import (
    Agent,
    AgentRunError,
    AgentRunResultEvent,
    AgentStreamEvent,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    FinalResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    OutputToolCallEvent,
    OutputToolResultEvent,
    RunContext,
    ToolDefinition,
    ToolDenied,
    UsageLimitExceeded,
    UsageLimits,
)
from app.ai.messages import (
    BuiltinToolCallEvent,
    BuiltinToolResultEvent,
    ModelMessage,
    NativeToolCallPart,
    NativeToolReturnPart,
)
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.older_events import emit_older_events
from tests.ai.scripted import call, scripted


def noop() -> str:
    return "nothing"


FAR = ToolDefinition(name="far", parameters_json_schema={"type": "object", "properties": {}})


class Recorder:
    """An event stream handler that notes what it reads, a list for each time it is called."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.events: list[Any] = []

    async def __call__(self, ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        seen: list[str] = []
        self.calls.append(seen)
        async for event in events:
            seen.append(event.event_kind)
            self.events.append(event)


async def all_events(agent: Agent[Any, Any]) -> list[Any]:
    async with agent.run_stream_events("go") as events:
        return [event async for event in events]


async def test_a_function_tool_and_then_text():
    model, _ = scripted(call("noop"), "all done")
    events = await all_events(Agent(model, tools=[noop]))
    assert [event.event_kind for event in events] == [
        "part_start",
        "part_end",
        "function_tool_call",
        "function_tool_result",
        "part_start",
        "final_result",
        "part_delta",
        "part_end",
        "agent_run_result",
    ]
    assert isinstance(events[2], FunctionToolCallEvent) and events[2].args_valid is True
    assert isinstance(events[3], FunctionToolResultEvent) and events[3].result.content == "nothing"
    assert isinstance(events[-1], AgentRunResultEvent) and events[-1].result.output == "all done "


async def test_an_output_tool():
    model, _ = scripted([call("noop"), call("final_result", {"response": 1})])
    events = await all_events(Agent(model, tools=[noop], output_type=int, end_strategy="graceful"))
    assert [event.event_kind for event in events if not event.event_kind.startswith("part_")] == [
        "final_result",
        "output_tool_call",
        "output_tool_result",
        "function_tool_call",
        "function_tool_result",
        "agent_run_result",
    ]
    final = next(event for event in events if isinstance(event, FinalResultEvent))
    assert (final.tool_name, final.tool_call_id) == ("final_result", "final_result")


async def test_output_calls_that_fail_or_are_skipped_are_reported_as_output_calls():
    model, _ = scripted(
        [call("final_result", {}, "1"), call("final_result", {"response": 1}, "2"), call("final_result", {}, "3")]
    )
    events = await all_events(Agent(model, output_type=int))
    reported = [
        (event.tool_call_id, event.args_valid)
        if isinstance(event, OutputToolCallEvent)
        else (event.tool_call_id, event.part.part_kind)
        for event in events
        if isinstance(event, OutputToolCallEvent | OutputToolResultEvent)
    ]
    assert reported == [
        ("1", False),
        ("1", "retry-prompt"),
        ("2", True),
        ("2", "tool-return"),
        ("3", None),
        ("3", "tool-return"),
    ]


async def test_output_calls_that_gave_no_output_are_told_of_as_v1_did_too():
    answers = [call("final_result", {}, "1"), call("final_result", {"response": 1}, "2"), call("final_result", {}, "3")]
    older = ["output_tool_call", "function_tool_call", "output_tool_result", "function_tool_result"]
    newer = ["output_tool_call", "output_tool_result"]
    events = await all_events(Agent(scripted(answers)[0], output_type=int))
    told = [event for event in events if "_tool_" in event.event_kind]
    assert [event.event_kind for event in told] == [*older, *newer, *older]
    assert [event.args_valid for event in told if isinstance(event, FunctionToolCallEvent)] == [False, None]
    assert told[1].part == told[0].part and told[3].part == told[2].part
    with emit_older_events(False):
        events = await all_events(Agent(scripted(answers)[0], output_type=int))
    assert [event.event_kind for event in events if "_tool_" in event.event_kind] == newer * 3


async def test_what_the_providers_own_tools_did_is_told_after_the_response_too():
    search, found = NativeToolCallPart("search", {"q": "x"}, "n"), NativeToolReturnPart("search", "found", "n")

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: search}
        yield {1: found}
        yield "It is there"

    events = await all_events(Agent(FunctionModel(stream_function=stream)))
    assert [event.event_kind for event in events] == [
        "part_start",
        "part_end",
        "part_start",
        "part_start",
        "final_result",
        "part_end",
        "builtin_tool_call",
        "builtin_tool_result",
        "agent_run_result",
    ]
    assert events[-3:-1] == [BuiltinToolCallEvent(search), BuiltinToolResultEvent(found)]
    with emit_older_events(False):
        kinds = [event.event_kind for event in await all_events(Agent(FunctionModel(stream_function=stream)))]
    assert kinds[-2:] == ["part_end", "agent_run_result"]


async def test_a_deferred_call_is_reported_without_result():
    def later() -> None:
        raise CallDeferred

    model, _ = scripted([call("later"), call("noop"), call("nope")])
    events = await all_events(Agent(model, tools=[later, noop], output_type=[str, DeferredToolRequests]))
    kinds = [(event.event_kind, event.tool_call_id) for event in events if event.event_kind.startswith("function")]
    assert kinds == [
        ("function_tool_call", "later"),
        ("function_tool_call", "noop"),
        ("function_tool_call", "nope"),
        ("function_tool_result", "nope"),
        ("function_tool_result", "noop"),
    ]


@pytest.mark.parametrize("mode", ["sequential", "parallel_ordered_events"])
async def test_a_call_that_cannot_be_made_keeps_its_place_among_ordered_results(mode: Any):
    model, _ = scripted([call("noop", id="1"), call("noop", {"x": 1}, "2"), call("noop", id="3")], "done")
    with Agent.parallel_tool_call_execution_mode(mode):
        events = await all_events(Agent(model, tools=[noop]))
    assert [event.tool_call_id for event in events if isinstance(event, FunctionToolResultEvent)] == ["1", "2", "3"]


async def test_two_calls_with_one_id_are_both_reported():
    model, _ = scripted([call("noop"), call("noop")], "done")
    events = await all_events(Agent(model, tools=[noop]))
    kinds = [event.event_kind for event in events if event.event_kind.startswith("function")]
    assert kinds == ["function_tool_call"] * 2 + ["function_tool_result"] * 2


async def test_resumed_calls_are_reported_in_the_order_of_the_response():
    agent: Agent[None, Any] = Agent(output_type=[str, DeferredToolRequests], toolsets=[ExternalToolset([FAR])])
    agent.tool_plain(requires_approval=True)(noop)
    calls = [call("noop", id="1"), call("far", id="2"), call("noop", id="3")]
    first = await agent.run("go", model=scripted(calls)[0])
    answers = DeferredToolResults(calls={"2": "here"}, approvals={"1": ToolDenied("no"), "3": True})
    async with agent.run_stream_events(
        model=scripted("done")[0], message_history=first.all_messages(), deferred_tool_results=answers
    ) as stream:
        events = [event async for event in stream]
    begun = [(e.tool_call_id, e.args_valid) for e in events if isinstance(e, FunctionToolCallEvent)]
    assert begun == [("1", None), ("2", None), ("3", True)]
    parts = {e.tool_call_id: e.part for e in events if isinstance(e, FunctionToolResultEvent)}
    assert {id: part.content for id, part in parts.items()} == {"1": "no", "2": "here", "3": "nothing"}


async def test_external_calls_are_reported_before_those_that_wait_for_approval():
    agent: Agent[None, Any] = Agent(output_type=[str, DeferredToolRequests], toolsets=[ExternalToolset([FAR])])
    agent.tool_plain(requires_approval=True)(noop)
    model, _ = scripted([call("noop"), call("far")])
    with agent.override(model=model):
        events = await all_events(agent)
    assert [event.tool_call_id for event in events if isinstance(event, FunctionToolCallEvent)] == ["far", "noop"]


@pytest.mark.parametrize("ordered", [True, False])
async def test_results_are_reported_as_they_come_or_in_the_order_of_the_calls(ordered: bool):
    fast_is_done = asyncio.Event()

    async def slow() -> str:
        await fast_is_done.wait()
        for _ in range(5):
            # Lets the loop notice first that the other one has finished.
            await asyncio.sleep(0)
        return "slow"

    async def fast() -> str:
        fast_is_done.set()
        return "fast"

    model, _ = scripted([call("slow"), call("fast")], "done")
    agent = Agent(model, tools=[slow, fast])
    with agent.parallel_tool_call_execution_mode("parallel_ordered_events" if ordered else "parallel"):
        events = await all_events(agent)
    results = [event.tool_call_id for event in events if isinstance(event, FunctionToolResultEvent)]
    assert results == (["slow", "fast"] if ordered else ["fast", "slow"])


async def test_a_handler_is_called_for_each_response_and_for_the_tools_after_it():
    recorder, of_agent = Recorder(), Recorder()
    model, _ = scripted(call("noop"), "done", "done")
    agent = Agent(model, tools=[noop], event_stream_handler=of_agent)
    await agent.run("go", event_stream_handler=recorder)
    assert [calls[:1] for calls in recorder.calls] == [["part_start"], ["function_tool_call"], ["part_start"], []]
    assert of_agent.calls == []
    await agent.run("go")
    assert len(of_agent.calls) == 2


async def test_what_a_handler_leaves_unread_is_dropped():
    async def peek(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for _ in events:
            return

    async def ignore(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        return

    for handler in (peek, ignore):
        model, _ = scripted(call("noop"), "one two three")
        result = await Agent(model, tools=[noop]).run("go", event_stream_handler=handler)
        assert result.output == "one two three "


@pytest.mark.parametrize("kind", ["part_start", "function_tool_result"])
async def test_an_error_of_the_handler_fails_the_run(kind: str):
    async def broken(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            if event.event_kind == kind:
                raise KeyError("handler")

    model, _ = scripted(call("noop"), "done")
    with pytest.raises(KeyError, match="handler"):
        await Agent(model, tools=[noop]).run("go", event_stream_handler=broken)


async def test_an_error_of_the_handler_ends_the_calls_that_are_under_way():
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    async def fail(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            if isinstance(event, FunctionToolResultEvent):
                raise LookupError("no")

    model, _ = scripted([call("forever"), call("noop")], "done")
    agent = Agent(model, tools=[forever, noop])
    with pytest.raises(LookupError):
        await agent.run("go", event_stream_handler=fail)
    assert ended == ["forever"]
    task = asyncio.current_task()
    assert task is not None and not task.cancelling()


@pytest.mark.parametrize("by_handler", [True, False])
async def test_a_tool_waits_until_the_event_of_its_call_was_dealt_with(by_handler: bool):
    done: list[str] = []

    async def note(ctx: Any, events: AsyncIterable[Any]) -> None:
        async for event in events:
            await asyncio.sleep(0)
            done.append(event.event_kind)

    def work() -> None:
        done.append("work")

    model, _ = scripted(call("work"), "done")
    agent = Agent(model, tools=[work])
    if by_handler:
        await agent.run("go", event_stream_handler=note)
    else:
        async with agent.iter("go") as run:
            async for node in run:
                if Agent.is_call_tools_node(node):
                    async with node.stream(run.ctx) as events:
                        await note(None, events)
    begin = done.index("function_tool_call")
    assert done[begin : begin + 3] == ["function_tool_call", "work", "function_tool_result"]


async def test_a_handler_sees_what_came_before_an_error_of_a_tool():
    def broken() -> None:
        raise KeyError("tool")

    recorder = Recorder()
    model, _ = scripted(call("broken"))
    with pytest.raises(KeyError, match="tool"):
        await Agent(model, tools=[broken]).run("go", event_stream_handler=recorder)
    assert recorder.calls[-1] == ["function_tool_call"]


async def test_errors_of_the_run_reach_the_reader_of_the_events():
    def broken() -> None:
        raise KeyError("tool")

    model, _ = scripted(call("broken"))
    kinds: list[str] = []
    with pytest.raises(KeyError, match="tool"):
        async with Agent(model, tools=[broken]).run_stream_events("go") as events:
            async for event in events:
                kinds.append(event.event_kind)
    assert kinds == ["part_start", "part_end", "function_tool_call"]


async def test_leaving_the_events_early_cancels_the_run():
    log: list[str] = []
    started = asyncio.Event()

    async def slow() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cleaned up")

    model, _ = scripted(call("slow"))
    before = asyncio.all_tasks()
    async with Agent(model, tools=[slow]).run_stream_events("go") as events:
        async for event in events:
            if isinstance(event, FunctionToolCallEvent):
                break
        await started.wait()
    assert log == ["cleaned up"]
    assert asyncio.all_tasks() == before


async def test_reading_events_without_a_context_manager_is_deprecated():
    model, _ = scripted("done")
    with pytest.warns(DeprecationWarning, match="async with"):
        kinds = [event.event_kind async for event in Agent(model).run_stream_events("go")]
    assert kinds[-1] == "agent_run_result"


async def test_token_limits_are_checked_while_a_response_streams():
    recorder = Recorder()
    model, _ = scripted(" ".join(["word"] * 50))
    with pytest.raises(UsageLimitExceeded, match="output_tokens_limit of 5"):
        await Agent(model).run("go", event_stream_handler=recorder, usage_limits=UsageLimits(output_tokens_limit=5))
    assert len(recorder.events) < 10


async def test_a_streamed_request_is_counted_once():
    model, _ = scripted(call("noop"), "done")
    result = await Agent(model, tools=[noop]).run("go", event_stream_handler=Recorder())
    assert result.usage().requests == 2


async def test_the_nodes_of_a_run_can_be_streamed_one_by_one():
    model, script = scripted(call("noop"), "all done")
    agent = Agent(model, tools=[noop])
    kinds: list[list[str]] = []
    async with agent.iter("go") as run:
        async for node in run:
            if agent.is_model_request_node(node) or agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    kinds.append([event.event_kind async for event in events])
    assert kinds == [
        ["part_start", "part_end"],
        ["function_tool_call", "function_tool_result"],
        ["part_start", "final_result", "part_delta", "part_end"],
        [],
    ]
    assert run.result is not None and run.result.output == "all done "
    assert len(script.requests) == 2


async def test_a_node_that_is_being_streamed_cannot_be_run_and_the_rest_is_read_at_the_end():
    model, _ = scripted("one two three")
    agent = Agent(model)
    async with agent.iter("go") as run:
        node = await run.next(run.next_node)  # type: ignore[arg-type]
        assert agent.is_model_request_node(node)
        async with node.stream(run.ctx) as events:
            assert (await anext(aiter(events))).event_kind == "part_start"
            with pytest.raises(AgentRunError, match="Finish reading the stream"):
                await node.run(run.ctx)
        successor = await run.next(node)
        assert agent.is_call_tools_node(successor)
        assert successor.model_response.text == "one two three "


async def test_leaving_the_stream_of_a_node_by_an_error_cancels_the_request():
    model, _ = scripted("one two three")
    agent = Agent(model)
    before = asyncio.all_tasks()
    with pytest.raises(KeyError):
        async with agent.iter("go") as run:
            node = await run.next(run.next_node)  # type: ignore[arg-type]
            assert agent.is_model_request_node(node)
            async with node.stream(run.ctx):
                raise KeyError("mine")
    assert asyncio.all_tasks() == before
