"""Message histories: merging, going on, closing what is open."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.ai import (
    Agent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    RunContext,
    SystemPromptPart,
    TextPart,
    ToolReturnPart,
    UserError,
    UserPromptPart,
)
from app.ai.history import close_open_calls, merge_messages, open_calls, tidy_history
from tests.ai.scripted import call, scripted


def kinds(message: ModelMessage) -> list[str]:
    return [part.part_kind for part in message.parts]


def test_neighbouring_requests_merge_with_tool_answers_first():
    first = ModelRequest([UserPromptPart("a")], instructions="Be kind.")
    second = ModelRequest([UserPromptPart("b"), ToolReturnPart("t", 1, "1"), RetryPromptPart("no", tool_name="t")])
    (merged,) = merge_messages([first, second])
    assert kinds(merged) == ["tool-return", "retry-prompt", "user-prompt", "user-prompt"]
    assert isinstance(merged, ModelRequest) and merged.instructions == "Be kind."
    assert (len(first.parts), len(second.parts)) == (1, 3)


def test_requests_with_different_instructions_stay_apart():
    messages = [ModelRequest([], instructions="Be kind."), ModelRequest([], instructions="Be brief.")]
    assert merge_messages(messages) == messages


def test_responses_merge_only_if_no_provider_made_them():
    written = [ModelResponse([TextPart("a")]), ModelResponse([TextPart("b")])]
    (merged,) = merge_messages(written)
    assert [part.content for part in merged.parts if isinstance(part, TextPart)] == ["a", "b"]
    made = [ModelResponse([TextPart("a")], model_name="m"), ModelResponse([TextPart("b")])]
    assert merge_messages(made) == made


async def test_the_callers_history_is_not_changed_and_need_not_be_a_list():
    messages = (ModelRequest([UserPromptPart("a")]), ModelResponse([TextPart("b")]))
    before = ModelMessagesTypeAdapter.dump_json(list(messages))
    model, script = scripted("c")
    result = await Agent(model).run("d", message_history=messages)
    assert len(script.requests[0]) == 3
    assert len(result.all_messages()) == 4 and len(result.new_messages()) == 2
    assert ModelMessagesTypeAdapter.dump_json(list(messages)) == before


async def test_a_history_from_json_goes_on_as_the_original_would():
    model, script = scripted([call("nope"), call("nope", id="2")], "done", "more")
    agent = Agent(model)
    result = await agent.run("go")
    restored = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    assert restored == result.all_messages()
    await agent.run("more", message_history=restored)
    assert script.requests[-1][:-1] == result.all_messages()


async def test_a_history_that_ends_in_a_request_is_sent_again():
    seen: list[Any] = []
    model, script = scripted("done")
    agent = Agent(model, instructions=lambda ctx: seen.append(ctx.prompt))  # type: ignore[arg-type,return-value,func-returns-value]
    request = ModelRequest([UserPromptPart("a"), UserPromptPart(["b", "c"])], run_id="old", conversation_id="talk")
    result = await agent.run(message_history=[request])
    assert kinds(script.requests[0][0]) == ["user-prompt", "user-prompt"]
    assert seen == [["a", "b", "c"]]
    assert result.all_messages()[0].run_id == "old"
    assert [message.kind for message in result.new_messages()] == ["response"]
    assert result.conversation_id == "talk"


async def test_a_history_that_ends_in_text_is_its_own_result_without_a_prompt():
    history = [ModelRequest([UserPromptPart("a")]), ModelResponse([TextPart("b")])]
    model, script = scripted("c")
    agent = Agent(model)
    assert (await agent.run(message_history=history)).output == "b"
    assert script.requests == []
    assert (await agent.run(message_history=history, instructions="Go on.")).output == "c"
    assert script.last_request.instructions == "Go on." and script.last_request.parts == []


async def test_a_history_that_ends_in_tool_calls_goes_on_with_them():
    def add(a: int, b: int) -> int:
        return a + b

    history = [ModelRequest([UserPromptPart("a")]), ModelResponse([call("add", {"a": 1, "b": 2})])]
    model, script = scripted("three")
    agent = Agent(model, tools=[add])
    assert (await agent.run(message_history=history)).output == "three"
    (part,) = script.last_request.parts
    assert isinstance(part, ToolReturnPart) and part.content == 3
    with pytest.raises(UserError, match=r"ends with open tool calls.*deferred_tool_results.*close_open_calls"):
        await agent.run("new prompt", message_history=history)


def test_open_calls_are_those_that_no_later_request_answers():
    response = ModelResponse([call("a"), call("b"), call("c")])
    answers = ModelRequest([ToolReturnPart("a", 1, "a"), RetryPromptPart("no", tool_name="b", tool_call_id="b")])
    assert [part.tool_call_id for part in open_calls([response, answers])] == ["c"]
    assert open_calls([answers]) == []


async def test_closing_open_calls_lets_a_conversation_go_on():
    time = datetime(2026, 1, 1, tzinfo=UTC)
    response = ModelResponse([call("a"), call("b")], timestamp=time, run_id="r", conversation_id="c")
    history = [ModelRequest([UserPromptPart("x")]), response, ModelRequest([ToolReturnPart("a", 1, "a")])]
    closed = close_open_calls(history)
    assert len(history) == 3 and len(closed) == 4
    (part,) = closed[2].parts
    assert isinstance(part, ToolReturnPart) and (part.tool_call_id, part.outcome) == ("b", "failed")
    assert (closed[2].run_id, closed[2].timestamp) == ("r", time)
    assert close_open_calls(closed) == closed
    model, script = scripted("done")
    await Agent(model).run("go on", message_history=closed)
    assert kinds(script.requests[0][2]) == ["tool-return", "tool-return", "user-prompt"]


async def test_an_interrupted_response_does_not_choke_the_next_run():
    interrupted = ModelResponse([TextPart("Let me"), call("search", '{"query": "ca')], state="interrupted")
    history = [ModelRequest([UserPromptPart("x")]), interrupted]
    tidy = tidy_history(history)
    assert tidy[1].parts[1] == call("search", {})
    model, script = scripted("done")
    assert (await Agent(model).run("again", message_history=history)).output == "done"
    assert kinds(script.last_request) == ["tool-return", "user-prompt"]
    assert interrupted.parts[1] == call("search", '{"query": "ca')


async def test_new_messages_are_those_of_the_run():
    model, _ = scripted("one", "two")
    agent = Agent(model)
    first = await agent.run("a")
    second = await agent.run("b", message_history=first.all_messages())
    assert second.all_messages() == [*first.all_messages(), *second.new_messages()]
    assert {message.run_id for message in second.new_messages()} == {second.run_id}
    assert ModelMessagesTypeAdapter.validate_json(second.new_messages_json()) == second.new_messages()


async def test_every_message_is_stamped():
    model, _ = scripted("one")
    result = await Agent(model).run("a")
    for message in result.all_messages():
        assert (message.run_id, message.conversation_id) == (result.run_id, result.conversation_id)
        assert message.timestamp is not None


async def test_the_answer_to_an_output_tool_can_be_replaced_in_a_copy():
    model, _ = scripted(call("final_result", {"response": 3}), "text")
    result = await Agent(model, output_type=int).run("go")
    changed = result.all_messages(output_tool_return_content="Thank you.")[-1].parts[0]
    assert isinstance(changed, ToolReturnPart) and changed.content == "Thank you."
    assert b"Thank you." in result.new_messages_json(output_tool_return_content="Thank you.")
    assert b"Thank you." not in result.all_messages_json()
    with pytest.raises(ValueError, match="did not come from an output tool"):
        (await Agent(model).run("go")).all_messages(output_tool_return_content="Thank you.")
    result.all_messages().pop()
    with pytest.raises(LookupError, match="final_result"):
        result.all_messages(output_tool_return_content="Thank you.")


# System prompts and instructions


async def test_system_prompts_begin_a_conversation_and_are_not_repeated():
    model, script = scripted("one", "two")
    agent = Agent(model, deps_type=str, system_prompt=("Be kind.", "Be brief."))
    agent.system_prompt(lambda: "")

    @agent.system_prompt
    async def name(ctx: RunContext[Any]) -> str:
        return f"You are {ctx.deps}."

    first = await agent.run("a", deps="Bo")
    assert [part.content for part in script.last_request.parts] == ["Be kind.", "Be brief.", "You are Bo.", "a"]
    await agent.run("b", message_history=first.all_messages(), deps="Al")
    assert [part.content for part in script.last_request.parts] == ["b"]


async def test_dynamic_system_prompts_are_made_anew_in_a_copy_of_the_history():
    model, script = scripted("one", "two")
    agent = Agent(model, deps_type=str)

    @agent.system_prompt(dynamic=True)
    def name(ctx: RunContext[Any]) -> str | None:
        return ctx.deps and f"You are {ctx.deps}."

    first = await agent.run("a", deps="")
    (empty, _) = first.all_messages()[0].parts
    assert isinstance(empty, SystemPromptPart) and (empty.content, empty.dynamic_ref) == ("", name.__qualname__)
    second = await agent.run("b", message_history=first.all_messages(), deps="Al")
    assert script.requests[1][0].parts[0] == second.all_messages()[0].parts[0]
    refreshed = second.all_messages()[0].parts[0]
    assert isinstance(refreshed, SystemPromptPart) and refreshed.content == "You are Al."
    assert empty.content == ""


async def test_instructions_are_made_anew_for_each_request_and_static_ones_come_first():
    model, script = scripted(call("nope"), "done", "again")
    agent = Agent(model, instructions=["Be kind.", lambda ctx: f"Step {ctx.run_step}.", "Be brief."])

    @agent.instructions
    async def nothing() -> str | None:
        return None

    result = await agent.run("go", instructions="Be quick.")
    assert [request[-1].instructions for request in script.requests] == [  # type: ignore[union-attr]
        "Be kind.\nBe brief.\nBe quick.\n\nStep 1.",
        "Be kind.\nBe brief.\nBe quick.\n\nStep 2.",
    ]
    with agent.override(instructions="Only this."):
        await agent.run("more", message_history=result.all_messages())
    assert script.last_request.instructions == "Only this."


async def test_there_must_be_something_to_ask():
    model, script = scripted("done")
    agent = Agent(model)
    with pytest.raises(UserError, match="nothing to ask"):
        await agent.run()
    assert (await agent.run(instructions="Say done.")).output == "done"
    assert script.last_request.parts == []


async def test_a_prompt_of_several_pieces_keeps_their_order():
    model, script = scripted("done")
    await Agent(model).run(["look:", "here"])
    (part,) = script.last_request.parts
    assert isinstance(part, UserPromptPart) and part.content == ["look:", "here"]


async def test_system_prompts_can_be_asked_for_without_a_run():
    agent = Agent(system_prompt="Be kind.")

    @agent.system_prompt(dynamic=True)
    def name(ctx: RunContext[Any]) -> str:
        return f"You are {ctx.deps}, asked {ctx.prompt}."

    parts = await agent.system_prompt_parts(deps="Bo", prompt="why", model="test")
    assert [part.content for part in parts] == ["Be kind.", "You are Bo, asked why."]
    with pytest.raises(UserError, match="give one by `model`"):
        await agent.system_prompt_parts()
