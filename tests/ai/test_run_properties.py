"""However a run is driven, whatever its model answers, it ends alike and leaves the same messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from itertools import count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from app.ai import (
    Agent,
    AgentRunError,
    AgentRunResultEvent,
    CallDeferred,
    DeferredToolRequests,
    EndStrategy,
    ModelMessagesTypeAdapter,
    ModelRetry,
    RunContext,
    ToolReturn,
    UsageLimits,
    capture_run_messages,
)
from tests.ai.scripted import call, scripted

Agents = Agent[None, Any]
Calls = list[list[tuple[str, str]]]
LIMITS = UsageLimits(request_limit=4)
OF_EACH_RUN = ("timestamp", "run_id", "conversation_id", "usage")

calls = st.sampled_from(
    [
        ("final_result", '{"x": 1}'),
        ("final_result", '{"x": "no number"}'),
        ("works", "{}"),
        ("asks_again", "{}"),
        ("tells_more", "{}"),
        ("defers", "{}"),
        ("needs_approval", '{"y": 1}'),
        ("needs_approval", "{}"),
        ("unknown", "{}"),
    ]
)
answers_of_a_run = st.lists(st.lists(calls, min_size=1, max_size=3), min_size=4, max_size=4)


class Answer(BaseModel):
    x: int


def agent_of(script: Calls, end_strategy: EndStrategy) -> Agents:
    ids = count()
    answers = [[call(name, args, f"c{next(ids)}") for name, args in called] for called in script]
    model, _ = scripted(*answers)
    agent: Agents = Agent(model, output_type=[Answer, DeferredToolRequests], end_strategy=end_strategy, retries=2)

    def works() -> str:
        return "done"

    def asks_again() -> str:
        raise ModelRetry("Ask again.")

    def tells_more() -> ToolReturn:
        return ToolReturn("done", content=["more"], metadata={"kept": 1})

    def defers() -> str:
        raise CallDeferred(metadata={"task": 1})

    def needs_approval(y: int) -> int:
        return y

    for tool in (works, asks_again, tells_more, defers):
        agent.tool_plain(tool)
    agent.tool_plain(requires_approval=True)(needs_approval)
    return agent


async def at_once(agent: Agents) -> Any:
    return (await agent.run("Go", usage_limits=LIMITS)).output


async def with_handler(agent: Agents) -> Any:
    async def read(ctx: RunContext[None], events: AsyncIterable[Any]) -> None:
        async for _ in events:
            pass

    return (await agent.run("Go", usage_limits=LIMITS, event_stream_handler=read)).output


async def by_events(agent: Agents) -> Any:
    async with agent.run_stream_events("Go", usage_limits=LIMITS) as events:
        *_, last = [event async for event in events]
    assert isinstance(last, AgentRunResultEvent)
    return last.result.output


async def by_nodes(agent: Agents) -> Any:
    async with agent.iter("Go", usage_limits=LIMITS) as run:
        async for _ in run:
            pass
    return run.result and run.result.output


async def by_streamed_nodes(agent: Agents) -> Any:
    async with agent.iter("Go", usage_limits=LIMITS) as run:
        node = run.next_node
        while not agent.is_end_node(node):
            if agent.is_model_request_node(node) or agent.is_call_tools_node(node):
                async with node.stream(run.ctx) as events:
                    async for _ in events:
                        pass
            node = await run.next(node)
        return node.data.output


def without_marks(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_marks(item) for key, item in value.items() if key not in OF_EACH_RUN}
    return [without_marks(item) for item in value] if isinstance(value, list) else value


def outcome(drive: Callable[[Agents], Awaitable[Any]], agent: Agents) -> tuple[str, Any]:
    async def driven() -> str:
        try:
            return repr(await drive(agent))
        except AgentRunError as err:
            return repr(err)

    with capture_run_messages() as messages:
        end = asyncio.run(driven())
    return end, without_marks(ModelMessagesTypeAdapter.dump_python(messages, mode="json"))


@settings(max_examples=40, deadline=None)
@given(answers_of_a_run, st.sampled_from(["early", "graceful", "exhaustive"]))
def test_every_way_to_drive_a_run_leaves_the_same_messages(script: Calls, end_strategy: EndStrategy):
    expected = outcome(at_once, agent_of(script, end_strategy))
    for drive in (with_handler, by_events, by_nodes, by_streamed_nodes):
        assert outcome(drive, agent_of(script, end_strategy)) == expected, drive.__name__
