"""Messages put into the conversation of a run that goes on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.ai import Agent, DeferredToolRequests, End, ImageUrl, RunContext, Tool, UserError
from app.ai.capabilities import ProcessHistory
from app.ai.exceptions import UndrainedPendingMessagesError
from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart, UserPromptPart
from app.ai.pending import PendingMessage, as_messages
from app.ai.run_state import GraphAgentState
from app.ai.steps import Steps, use_steps
from tests.ai.scripted import call, scripted

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def prompts(messages: list[ModelMessage]) -> list[object]:
    parts = [part for message in messages if isinstance(message, ModelRequest) for part in message.parts]
    return [part.content for part in parts if isinstance(part, UserPromptPart)]


async def test_a_tool_can_add_to_the_next_request():
    model, script = scripted(call("look"), "done")
    agent = Agent(model, instructions="Be kind.")

    @agent.tool
    def look(ctx: RunContext[None]) -> str:
        ctx.enqueue("Also mind this")
        ctx.enqueue()
        return "looked"

    result = await agent.run("go")
    assert result.output == "done"
    kinds = [[part.part_kind for part in message.parts] for message in result.all_messages()]
    assert kinds == [["user-prompt"], ["tool-call"], ["tool-return"], ["user-prompt"], ["text"]]
    answers, added = result.all_messages()[2:4]
    assert isinstance(answers, ModelRequest) and isinstance(added, ModelRequest)
    assert added.run_id == result.run_id and added.timestamp is not None
    assert (answers.instructions, added.instructions) == ("Be kind.", None)
    sent = script.last_request
    assert [part.part_kind for part in sent.parts] == ["tool-return", "user-prompt"] and sent.instructions == "Be kind."


async def test_what_is_enqueued_is_seen_by_hooks():
    model, script = scripted("done")
    seen: list[int] = []

    def look(messages: list[ModelMessage]) -> list[ModelMessage]:
        seen.append(len(messages))
        return messages

    async with Agent(model, capabilities=[ProcessHistory(look)]).iter("go") as run:
        run.enqueue(ModelRequest.user_text_prompt("one"), ModelResponse([TextPart("two")]), "three")
        await run.to_end()
    assert seen == [4] and prompts(run.all_messages()) == ["go", "one", "three"]
    assert [len(message.parts) for message in script.requests[0]] == [2, 1, 1]


async def test_a_run_that_would_end_goes_on_with_what_was_enqueued():
    model, script = scripted("first", "second", "third")
    async with Agent(model).iter("go") as run:
        run.enqueue("later", priority="when_idle")
        node = run.next_node
        while not isinstance(node, End):
            node = await run.next(node)
            if Agent.is_call_tools_node(node) and len(script.requests) == 1:
                run.enqueue("soon")
                assert [item.priority for item in run.pending_messages] == ["when_idle", "asap"]
    assert run.pending_messages == []
    assert run.result is not None and run.result.output == "second"
    assert prompts(run.all_messages()) == ["go", "soon", "later"]
    assert len(script.requests) == 2


async def test_iterating_over_a_run_does_not_drop_what_was_enqueued():
    model, _ = scripted("first")
    async with Agent(model).iter("go") as run:
        run.enqueue("later", priority="when_idle")
        with pytest.raises(UndrainedPendingMessagesError, match=r"drive it by `AgentRun\.next`"):
            async for _node in run:
                pass


async def test_when_idle_waits_for_the_end_and_asap_does_not():
    model, script = scripted(call("noop"), "first", "second")

    def noop(ctx: RunContext[None]) -> None:
        ctx.enqueue("idle", priority="when_idle")
        ctx.enqueue("now")

    result = await Agent(model, tools=[noop]).run("go")
    assert result.output == "second"
    assert prompts(script.requests[1]) == ["go", "now"]
    assert prompts(script.requests[2]) == ["go", "now", "idle"]


async def test_what_is_enqueued_before_the_first_request_goes_with_it():
    model, script = scripted("done")
    async with Agent(model).iter("go") as run:
        run.enqueue("and this")
        async for _ in run:
            pass
    assert len(script.requests) == 1 and prompts(script.requests[0]) == ["go", "and this"]


def test_neighbours_make_one_prompt_and_one_request():
    image = ImageUrl("https://example.com/a.png")
    response = ModelResponse([TextPart("hm")])
    system = SystemPromptPart("rule")
    messages = as_messages(["a", image, system, "b", response, "c"])
    assert [type(message) for message in messages] == [ModelRequest, ModelResponse, ModelRequest]
    assert [part.part_kind for part in messages[0].parts] == ["user-prompt", "system-prompt", "user-prompt"]
    assert prompts(messages) == [["a", image], "b", "c"]


async def test_what_is_enqueued_must_end_in_a_request():
    async with Agent("test").iter("go") as run:
        with pytest.raises(UserError, match="must end in"):
            run.enqueue("a", ModelResponse([TextPart("hm")]))


async def test_recorded_steps_refuse_to_enqueue():
    class Recording(Steps):
        records = True

    model, _ = scripted(call("look"), "done")
    agent = Agent(model)

    @agent.tool
    def look(ctx: RunContext[None]) -> None:
        ctx.enqueue("lost on replay")

    with use_steps(Recording()), pytest.raises(UserError, match="cannot enqueue"):
        await agent.run("go")


async def test_what_comes_through_the_steps_is_put_into_the_conversation_like_what_was_enqueued():
    class Post(Steps):
        """Has something for the second request, and for the end."""

        def __init__(self) -> None:
            self.asked: list[bool] = []

        async def sent_messages(self, state: GraphAgentState, *, ending: bool) -> list[PendingMessage]:
            self.asked.append(ending)
            sent = [ModelRequest([UserPromptPart("last" if ending else "next")], timestamp=MOMENT)]
            return [PendingMessage([*sent], "when_idle" if ending else "asap")] if len(self.asked) in (2, 3) else []

    model, script = scripted(call("look"), "first", "second")
    with use_steps(post := Post()):
        result = await Agent(model, tools=[Tool(lambda: "seen", name="look", description="Look.")]).run("go")
    assert result.output == "second"
    assert post.asked == [False, False, True, False, True]
    assert [prompts(request) for request in script.requests] == [["go"], ["go", "next"], ["go", "next", "last"]]
    told = [message for message in result.all_messages() if prompts([message]) in (["next"], ["last"])]
    assert [(message.timestamp, message.run_id) for message in told] == [(MOMENT, result.run_id)] * 2


async def test_a_run_that_waits_for_its_deferred_calls_does_not_end():
    class Waiting(Steps):
        may_wait = True

        async def sent_messages(self, state: GraphAgentState, *, ending: bool) -> list[PendingMessage]:
            assert not ending
            return []

    model, _ = scripted(call("pay"))
    agent = Agent(model)

    @agent.tool_plain(requires_approval=True)
    def pay() -> str:
        return "paid"

    with use_steps(Waiting()):
        assert isinstance((await agent.run("go")).output, DeferredToolRequests)


async def test_run_stream_does_not_drop_what_was_enqueued():
    model, _ = scripted("one two")
    agent = Agent(model)

    @agent.output_validator
    def add(ctx: RunContext[None], output: str) -> str:
        if not ctx.partial_output:
            ctx.enqueue("more")
        return output

    with pytest.raises(UserError, match="cannot deliver"):
        async with agent.run_stream("go") as result:
            await result.get_output()
