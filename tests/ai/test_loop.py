"""The agent loop: what becomes of each response, and how tool calls are answered."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from pydantic import BaseModel

from app.ai import (
    Agent,
    BinaryContent,
    BinaryImage,
    CallDeferred,
    CompactionPart,
    ContentFilterError,
    DeferredToolRequests,
    End,
    FilePart,
    IncompleteToolCall,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelRetry,
    NativeOutput,
    NativeToolCallPart,
    RequestUsage,
    RetryPromptPart,
    RunContext,
    RunUsage,
    TextPart,
    ThinkingPart,
    Tool,
    ToolCallPart,
    ToolOutput,
    ToolReturnPart,
    UnexpectedModelBehavior,
    UsageLimitExceeded,
    UsageLimits,
    UserError,
    UserPromptPart,
    capture_run_messages,
)
from app.ai.models.test import TestModel
from app.ai.profiles import ModelProfile
from app.ai.steps import Steps, use_steps
from app.ai.texts import FINAL_RESULT_PROCESSED, OUTPUT_TOOL_NOT_USED
from tests.ai.scripted import call, scripted

FINAL = "Final result processed."
OUTPUT_NOT_USED = "Output tool not used - a final result was already processed."
NOT_EXECUTED = "Tool not executed - a final result was already processed."


class Answer(BaseModel):
    number: int


def contents(message: ModelMessage) -> dict[str, Any]:
    """What the tools said, by tool call id."""
    return {
        part.tool_call_id: part.content for part in message.parts if isinstance(part, ToolReturnPart | RetryPromptPart)
    }


def only_part(message: ModelMessage) -> ModelRequestPart:
    assert isinstance(message, ModelRequest)
    (part,) = message.parts
    return part


# Responses without tool calls


async def test_text_is_the_output():
    model, _ = scripted([TextPart("Hello"), TextPart(" world")])
    assert (await Agent(model).run("go")).output == "Hello world"


async def test_the_token_limit_before_any_content_fails_the_run():
    for parts in ([], [ThinkingPart("hm")]):
        model, _ = scripted(ModelResponse(parts, finish_reason="length"))
        with pytest.raises(UnexpectedModelBehavior, match=r"token limit of 7 .*max_tokens"):
            await Agent(model).run("go", model_settings={"max_tokens": 7})


async def test_a_filtered_response_fails_the_run_with_the_reason_and_the_body():
    refused = ModelResponse([], finish_reason="content_filter", provider_details={"refusal": "too rude"})
    model, _ = scripted(refused)
    with pytest.raises(ContentFilterError, match="too rude") as raised:
        await Agent(model).run("go")
    assert raised.value.body is not None and '"content_filter"' in raised.value.body


async def test_an_empty_response_is_none_where_none_is_an_output():
    model, _ = scripted(ModelResponse([]))
    assert (await Agent(model, output_type=str | None).run("go")).output is None  # type: ignore[arg-type]


async def test_an_empty_response_after_text_and_tool_calls_takes_the_text():
    model, _ = scripted([TextPart("The answer is 4."), call("noop")], ModelResponse([]))
    assert (await Agent(model, tools=[noop]).run("go")).output == "The answer is 4."


def noop() -> str:
    return "nothing"


async def test_an_empty_response_takes_the_newest_text_of_the_history():
    history = [ModelRequest([UserPromptPart("a")]), ModelResponse([TextPart("old answer")], model_name="m")]
    model, script = scripted(ModelResponse([]))
    assert (await Agent(model).run("b", message_history=history)).output == "old answer"
    assert len(script.requests) == 1


async def test_earlier_text_that_is_no_output_is_not_taken_and_costs_no_retry():
    said = [TextPart("Let me look."), call("noop")]
    model, script = scripted(said, ModelResponse([]), '{"number": 4}')
    agent = Agent(model, tools=[noop], output_type=NativeOutput(Answer))
    assert (await agent.run("go")).output == Answer(number=4)
    assert script.last_request.parts == []


async def test_an_empty_response_is_answered_by_an_empty_request():
    model, script = scripted(ModelResponse([]), "done")
    result = await Agent(model).run("go")
    assert result.output == "done"
    assert [len(message.parts) for message in result.all_messages()] == [1, 0, 0, 1]
    assert len(script.requests) == 2


async def test_thinking_alone_is_answered_by_a_prompt_that_names_what_can_be_done():
    model, script = scripted(ThinkingPart("hm"), "done")
    await Agent(model, tools=[noop]).run("go")
    part = only_part(script.last_request)
    assert isinstance(part, RetryPromptPart) and part.content == "Please return text or call a tool."
    assert part.tool_name is None


async def test_text_where_a_tool_is_needed_is_sent_back():
    model, script = scripted("four", call("final_result", {"number": 4}))
    assert (await Agent(model, output_type=ToolOutput(Answer)).run("go")).output == Answer(number=4)
    part = only_part(script.requests[1][-1])
    assert isinstance(part, RetryPromptPart) and part.content == "Please include your response in a tool call."


async def test_text_is_read_as_json_unless_an_output_tool_is_demanded():
    model, script = scripted("four", '{"number": 4}')
    assert (await Agent(model, output_type=Answer).run("go")).output == Answer(number=4)
    part = only_part(script.requests[1][-1])
    assert isinstance(part, RetryPromptPart) and not isinstance(part.content, str)
    assert (part.tool_name, part.content[0]["type"]) == (None, "json_invalid")


async def test_output_retries_are_counted_over_the_run():
    model, _ = scripted("no", "no", "no", call("final_result", {"number": 4}))
    agent = Agent(model, output_type=Answer, retries={"output": 2})
    with pytest.raises(UnexpectedModelBehavior, match="within 2 output retries"):
        await agent.run("go")


async def test_an_image_is_the_output_where_images_are_allowed():
    image = BinaryImage(b"png", media_type="image/png")
    model, _ = scripted([TextPart("Here:"), FilePart(image)], profile=ModelProfile(supports_image_output=True))
    assert (await Agent(model, output_type=BinaryImage).run("go")).output == image
    model, script = scripted(
        "no image",
        [FilePart(BinaryContent(b"png", media_type="image/png"))],
        profile=ModelProfile(supports_image_output=True),
    )
    assert (await Agent(model, output_type=BinaryImage).run("go")).output == image
    part = only_part(script.last_request)
    assert isinstance(part, RetryPromptPart) and part.content == "Please return an image."


async def test_text_before_a_native_tool_call_is_not_the_answer_and_a_summary_is_a_fallback():
    model, _ = scripted([TextPart("Let me look."), NativeToolCallPart("web_search"), TextPart("Found it.")])
    assert (await Agent(model).run("go")).output == "Found it."
    model, _ = scripted([CompactionPart("What happened so far.")])
    assert (await Agent(model).run("go")).output == "What happened so far."


# Output tools and end strategies


def two_functions_and_outputs(*calls: ToolCallPart, **options: Any) -> tuple[Agent[None, Any], list[str]]:
    """An agent whose model makes these calls at once; the list notes what was executed."""
    done: list[str] = []
    model, _ = scripted(calls, "a second answer")
    agent = Agent(model, output_type=[ToolOutput(first, name="first"), ToolOutput(second, name="second")], **options)

    @agent.tool_plain
    def function(x: int = 0) -> str:
        done.append("function")
        return "from function"

    return agent, done


def first(number: int) -> str:
    if number < 0:
        raise ModelRetry("must not be negative")
    return f"first {number}"


def second(number: int) -> str:
    if number < 0:
        raise ModelRetry("must not be negative")
    return f"second {number}"


async def test_early_executes_nothing_beside_the_first_valid_output():
    agent, done = two_functions_and_outputs(
        call("function"), call("first", {"number": 1}), call("second", {"number": 2}), call("missing")
    )
    result = await agent.run("go")
    assert (result.output, done) == ("first 1", [])
    assert list(contents(result.all_messages()[-1]).items()) == [
        ("first", FINAL),
        ("second", OUTPUT_NOT_USED),
        ("function", NOT_EXECUTED),
        ("missing", "No tool named 'missing'. Available tools: 'first', 'second', 'function'."),
    ]


async def test_graceful_executes_functions_but_no_further_outputs():
    agent, done = two_functions_and_outputs(
        call("function"), call("first", {"number": 1}), call("second", {"number": 2}), end_strategy="graceful"
    )
    result = await agent.run("go")
    assert (result.output, done) == ("first 1", ["function"])
    assert contents(result.all_messages()[-1]) == {
        "first": FINAL,
        "second": OUTPUT_NOT_USED,
        "function": "from function",
    }


async def test_a_call_that_is_deferred_beside_a_final_result_is_answered_too():
    agent, _ = two_functions_and_outputs(call("first", {"number": 1}), call("later"), end_strategy="graceful")

    @agent.tool_plain
    def later() -> str:
        raise CallDeferred

    result = await agent.run("go")
    assert result.output == "first 1"
    assert contents(result.all_messages()[-1]) == {"first": FINAL, "later": NOT_EXECUTED}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"number": 2}, FINAL),
        ({"number": -1}, "Output tool not used - its function has failed."),
        ({"number": "x"}, "Output tool not used - arguments are invalid."),
    ],
)
async def test_exhaustive_executes_everything_and_the_first_valid_output_wins(args: dict[str, Any], said: str):
    agent, done = two_functions_and_outputs(
        call("function"), call("first", {"number": 1}), call("second", args), end_strategy="exhaustive", retries=0
    )
    result = await agent.run("go")
    assert (result.output, done) == ("first 1", ["function"])
    assert contents(result.all_messages()[-1]) == {"first": FINAL, "second": said, "function": "from function"}


async def test_an_invalid_output_before_a_valid_one_is_kept_in_the_closing_request():
    agent, _ = two_functions_and_outputs(call("first", {"number": -1}), call("second", {"number": 2}))
    result = await agent.run("go")
    assert result.output == "second 2"
    closing = result.all_messages()[-1]
    assert [part.part_kind for part in closing.parts] == ["retry-prompt", "tool-return"]
    assert contents(closing) == {"first": "must not be negative", "second": FINAL}


async def test_an_invalid_output_beside_a_function_sends_both_answers_back():
    model, script = scripted(
        [call("noop"), call("final_result", {"number": "x"})], call("final_result", {"number": 4}, "2")
    )
    await Agent(model, output_type=Answer, tools=[noop]).run("go")
    assert [part.part_kind for part in script.last_request.parts] == ["retry-prompt", "tool-return"]


async def test_text_beside_an_invalid_call_is_not_taken():
    model, script = scripted([TextPart("text"), call("noop", {"x": 1})], "done")
    assert (await Agent(model, tools=[noop]).run("go")).output == "done"
    assert [part.part_kind for part in script.last_request.parts] == ["retry-prompt"]


async def test_the_budget_of_an_output_tool_is_its_own():
    model, _ = scripted(*[call("final_result", {}, str(number)) for number in range(4)])
    with pytest.raises(UnexpectedModelBehavior, match="within 2 output retries") as raised:
        await Agent(model, output_type=ToolOutput(Answer, max_retries=2)).run("go")
    assert raised.value.__cause__ is not None
    model, _ = scripted(call("final_result", {}), call("final_result", {"number": 1}))
    with pytest.raises(UnexpectedModelBehavior, match="within 0 output retries"):
        await Agent(model, output_type=Answer).run("go", retries=0)


async def test_a_call_that_was_cut_off_explains_the_failure():
    cut = ModelResponse([call("final_result", '{"numb')], finish_reason="length")
    model, _ = scripted(cut, cut)
    with pytest.raises(IncompleteToolCall, match=r"'final_result'.*max_tokens"):
        await Agent(model, output_type=Answer).run("go")
    model, _ = scripted(ModelResponse([call("noop", '{"x')], finish_reason="length"))
    with pytest.raises(IncompleteToolCall, match="'noop'"):
        await Agent(model, tools=[Tool(noop, max_retries=0)]).run("go")


async def test_a_history_can_go_on_after_an_output_tool():
    model, script = scripted(call("final_result", {"number": 1}), call("final_result", {"number": 2}, "2"))
    agent = Agent(model, output_type=Answer)
    result = await agent.run("one")
    again = await agent.run("two", message_history=result.all_messages())
    assert again.output == Answer(number=2)
    assert [part.part_kind for part in script.last_request.parts] == ["tool-return", "user-prompt"]


# Function tools


async def test_an_unknown_tool_is_answered_with_the_ones_there_are():
    model, script = scripted(call("nope"), "done")
    await Agent(model, tools=[noop]).run("go")
    part = only_part(script.last_request)
    assert isinstance(part, RetryPromptPart)
    assert part.content == "No tool named 'nope'. Available tools: 'noop'."
    assert (part.tool_name, part.tool_call_id) == ("nope", "nope")


async def test_an_unknown_tool_is_answered_with_output_tools_too():
    model, script = scripted(call("nope"), call("final_result", {"response": 1}))
    await Agent(model, output_type=int, tools=[noop]).run("go")
    part = script.requests[1][-1].parts[0]
    assert isinstance(part, RetryPromptPart)
    assert part.content == "No tool named 'nope'. Available tools: 'final_result', 'noop'."


async def test_an_unknown_tool_has_the_default_budget():
    model, _ = scripted(call("nope"), call("nope"), "done")
    with pytest.raises(UnexpectedModelBehavior, match="Tool 'nope' has used up its 1 retries") as failure:
        await Agent(model, tools=[noop]).run("go")
    assert isinstance(failure.value.__cause__, ModelRetry)


@pytest.mark.parametrize("args", ["", None, {}, "not json", "[1]"])
async def test_missing_or_broken_arguments_are_sent_back(args: Any):
    def double(x: int) -> int:
        return 2 * x

    model, script = scripted(call("double", args), call("double", '{"x": 2}', "2"), "done")
    assert (await Agent(model, tools=[double]).run("go")).output == "done"
    part = only_part(script.requests[1][-1])
    assert isinstance(part, RetryPromptPart) and isinstance(part.content, list)
    assert "url" not in part.content[0] and "ctx" not in part.content[0]
    assert contents(script.last_request) == {"2": 4}


async def test_retries_are_counted_per_tool_while_it_fails_in_a_row():
    seen: list[tuple[int, int, bool]] = []

    def flaky(ctx: RunContext, fail: bool) -> str:
        seen.append((ctx.retry, ctx.max_retries, ctx.last_attempt))
        if fail:
            raise ModelRetry("not now")
        return "ok"

    fails = [True, False, True, True, False]
    model, _ = scripted(*[call("flaky", {"fail": fail}, str(n)) for n, fail in enumerate(fails)], "done")
    assert (await Agent(model, tools=[Tool(flaky, max_retries=2)]).run("go")).output == "done"
    assert seen == [(0, 2, False), (1, 2, False), (0, 2, False), (1, 2, False), (2, 2, True)]


async def test_a_tool_that_fails_twice_in_one_step_is_counted_once():
    def flaky(fail: bool) -> str:
        if fail:
            raise ModelRetry("not now")
        return "ok"

    model, _ = scripted(
        [call("flaky", {"fail": True}, "1"), call("flaky", {"fail": True}, "2")], call("flaky", {"fail": False}), "done"
    )
    assert (await Agent(model, tools=[flaky]).run("go")).output == "done"


async def test_a_tool_without_retries_fails_the_run_at_once_with_the_cause():
    def flaky() -> None:
        raise ModelRetry("not now")

    model, _ = scripted(call("flaky"))
    with pytest.raises(UnexpectedModelBehavior, match="Tool 'flaky' has used up its 0 retries") as raised:
        await Agent(model, tools=[Tool(flaky, max_retries=0)]).run("go")
    assert raised.value.__cause__ == ModelRetry("not now")


async def test_tools_run_in_parallel_and_their_results_stand_in_the_order_of_the_calls():
    both = asyncio.Barrier(2)
    finished: list[str] = []

    async def slow() -> str:
        await both.wait()
        while not finished:
            await asyncio.sleep(0)
        return "slow"

    async def fast() -> str:
        await both.wait()
        finished.append("fast")
        return "fast"

    model, script = scripted([call("slow"), call("fast")], "done")
    await Agent(model, tools=[slow, fast]).run("go")
    assert list(contents(script.last_request)) == ["slow", "fast"]


@pytest.mark.parametrize("by_mode", [True, False])
async def test_one_sequential_tool_or_the_mode_makes_the_batch_sequential(by_mode: bool):
    running, most = 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    model, _ = scripted([call("work", id="1"), call("alone", id="2"), call("work", id="3")], "done")
    agent = Agent(model, tools=[work, Tool(work, name="alone", sequential=not by_mode)])
    with agent.parallel_tool_call_execution_mode("sequential" if by_mode else "parallel"):
        await agent.run("go")
    assert most == 1


async def test_an_error_in_one_tool_cancels_the_others_and_waits_for_them():
    log: list[str] = []
    started = asyncio.Event()

    async def broken() -> None:
        await started.wait()
        raise KeyError("broken")

    async def slow() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            log.append("cleaned up")

    model, _ = scripted([call("broken"), call("slow")])
    with capture_run_messages() as messages, pytest.raises(KeyError, match="broken"):
        await Agent(model, tools=[broken, slow]).run("go")
    assert log == ["cleaned up"]
    assert [part.part_kind for part in messages[-1].parts] == ["tool-call", "tool-call"]


async def test_cancelling_a_run_cancels_its_tools_and_waits_for_them():
    log: list[str] = []
    started = asyncio.Event()

    async def slow() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            log.append("cleaned up")

    model, _ = scripted([call("slow", id="1"), call("slow", id="2")])
    task = asyncio.create_task(Agent(model, tools=[slow]).run("go"))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["cleaned up", "cleaned up"]


async def test_a_tool_that_takes_too_long_is_cancelled_and_sent_back():
    async def slow() -> None:
        await asyncio.Event().wait()

    model, script = scripted(call("slow"), "done")
    assert (await Agent(model, tools=[slow], tool_timeout=0.01).run("go")).output == "done"
    part = only_part(script.last_request)
    assert isinstance(part, RetryPromptPart) and part.content == "Timed out after 0.01 seconds."


async def test_a_timeout_error_of_the_tool_itself_fails_the_run():
    async def impatient() -> None:
        raise TimeoutError("my own")

    model, _ = scripted(call("impatient"))
    with pytest.raises(TimeoutError, match="my own"):
        await Agent(model, tools=[Tool(impatient, timeout=5)]).run("go")


async def test_sync_tools_run_in_a_thread_that_sees_the_context_variables():
    colour: ContextVar[str] = ContextVar("colour")
    colour.set("blue")
    threads: list[bool] = []

    def look() -> str:
        threads.append(threading.current_thread() is threading.main_thread())
        return colour.get()

    model, script = scripted(call("look"), "done")
    await Agent(model, tools=[look]).run("go")
    assert contents(script.last_request) == {"look": "blue"}
    assert threads == [False]


async def test_stop_iteration_of_a_sync_tool_fails_the_run_instead_of_hanging_it():
    def exhausted() -> None:
        next(iter(()))

    model, _ = scripted(call("exhausted"))
    with pytest.raises(RuntimeError, match="StopIteration"):
        await Agent(model, tools=[exhausted]).run("go")


class Recording(Steps):
    records = True


@pytest.mark.parametrize(
    ("steps", "ids"), [(Steps(), ["x", "x", "x-2"]), (Recording(), ["x", "x-2", "x-2-2"])], ids=["plain", "recorded"]
)
async def test_calls_with_one_id_are_all_made_and_told_apart_where_they_are_recorded(steps: Steps, ids: list[str]):
    model, _ = scripted([call("noop", id="x"), call("noop", id="x"), call("noop", id="x-2")], "done")
    with use_steps(steps):
        result = await Agent(model, tools=[noop]).run("go")
    _, response, answers, _ = result.all_messages()
    assert [part.tool_call_id for part in response.parts if isinstance(part, ToolCallPart)] == ids
    assert [part.tool_call_id for part in answers.parts if isinstance(part, ToolReturnPart)] == ids


async def test_of_two_output_calls_with_one_id_the_first_wins():
    model, _ = scripted([call("final_result", {"response": number}, id="x") for number in (1, 2)])
    result = await Agent(model, output_type=int).run("go")
    answers = [part.content for part in result.all_messages()[-1].parts if isinstance(part, ToolReturnPart)]
    assert (result.output, answers) == (1, [FINAL_RESULT_PROCESSED, OUTPUT_TOOL_NOT_USED])


# Limits


async def test_the_limit_on_requests_counts_retries_too():
    model, script = scripted(call("nope"), "done")
    with pytest.raises(UsageLimitExceeded, match="request_limit of 1"):
        await Agent(model).run("go", usage_limits=UsageLimits(request_limit=1))
    assert len(script.requests) == 1


async def test_endless_loops_end_at_fifty_requests():
    model, script = scripted(*[call("noop", id=str(number)) for number in range(60)])
    with pytest.raises(UsageLimitExceeded, match="request_limit of 50"):
        await Agent(model, tools=[noop]).run("go")
    assert len(script.requests) == 50


async def test_the_limit_on_tool_calls_is_checked_for_the_batch_before_any_runs():
    done: list[str] = []

    def work() -> None:
        done.append("work")

    model, _ = scripted([call("work", id="1")], [call("work", id="2"), call("work", id="3")])
    with pytest.raises(UsageLimitExceeded, match="tool_calls_limit of 2"):
        await Agent(model, tools=[work]).run("go", usage_limits=UsageLimits(tool_calls_limit=2))
    assert done == ["work"]


async def test_only_successful_calls_are_counted():
    def flaky(ctx: RunContext) -> str:
        if ctx.retry == 0:
            raise ModelRetry("again")
        return "ok"

    model, _ = scripted([call("flaky"), call("noop")], call("flaky"), "done")
    result = await Agent(model, tools=[flaky, noop]).run("go", usage_limits=UsageLimits(tool_calls_limit=3))
    assert result.usage().tool_calls == 2
    assert result.usage().requests == 3


async def test_token_limits_end_the_run_and_keep_the_response_in_the_history():
    model, _ = scripted("a long answer of many words")
    with capture_run_messages() as messages, pytest.raises(UsageLimitExceeded, match="output_tokens_limit of 2"):
        await Agent(model).run("go", usage_limits=UsageLimits(output_tokens_limit=2))
    assert messages[-1].kind == "response"


async def test_tokens_can_be_counted_before_a_request():
    class Counting(TestModel):
        async def count_tokens(self, *args: Any) -> RequestUsage:
            return RequestUsage(input_tokens=1000)

    limits = UsageLimits(input_tokens_limit=100, count_tokens_before_request=True)
    with pytest.raises(UsageLimitExceeded, match="input_tokens_limit of 100"):
        await Agent(Counting()).run("go", usage_limits=limits)


async def test_a_shared_usage_counts_the_runs_of_delegates_too():
    helper_model, _ = scripted("helped", "helped")
    helper = Agent(helper_model, name="helper")

    async def delegate(ctx: RunContext) -> str:
        return (await helper.run("help", usage=ctx.usage)).output

    model, _ = scripted([call("delegate")], "done")
    usage = RunUsage()
    result = await Agent(model, tools=[delegate]).run("go", usage=usage)
    assert result.usage() is usage
    assert (usage.requests, usage.tool_calls) == (3, 1)


# Nodes


async def test_nodes_come_in_order_and_a_finished_one_does_not_ask_again():
    model, script = scripted(call("noop"), "done")
    agent = Agent(model, tools=[noop])
    async with agent.iter("go") as run:
        assert run.result is None
        nodes = [node async for node in run]
        kinds = [type(node).__name__ for node in nodes]
        assert kinds == ["UserPromptNode", *["ModelRequestNode", "CallToolsNode"] * 2, "End"]
        assert agent.is_user_prompt_node(nodes[0]) and agent.is_end_node(nodes[-1])
        assert agent.is_model_request_node(nodes[1]) and agent.is_call_tools_node(nodes[2])
        assert await nodes[1].run(run.ctx) is nodes[2]
    assert run.result is not None and run.result.output == "done"
    assert len(script.requests) == 2


async def test_a_run_can_be_driven_by_hand_with_another_node():
    model, script = scripted("done")
    agent = Agent(model)
    async with agent.iter("go") as run:
        node = await run.next(run.next_node)  # type: ignore[arg-type]
        assert agent.is_model_request_node(node)
        node.request.parts = [UserPromptPart("something else")]
        node = await run.next(node)
        assert agent.is_call_tools_node(node)
        assert isinstance(await run.next(node), End)
        with pytest.raises(UserError, match="Only a node of the run can be run"):
            await run.next(run.next_node)  # type: ignore[arg-type]
    part = only_part(script.last_request)
    assert isinstance(part, UserPromptPart) and part.content == "something else"


async def test_the_step_is_counted_at_each_request():
    steps: list[int] = []

    def note(ctx: RunContext) -> None:
        steps.append(ctx.run_step)

    model, _ = scripted(call("note", id="1"), call("note", id="2"), "done")
    await Agent(model, tools=[note]).run("go")
    assert steps == [1, 2]


async def test_a_deferred_call_keeps_the_answers_of_its_siblings():
    def defer() -> None:
        raise CallDeferred({"reason": "slow"})

    model, _ = scripted([call("defer"), call("noop"), call("nope")])
    result = await Agent(model, tools=[defer, noop], output_type=[str, DeferredToolRequests]).run("go")
    assert isinstance(result.output, DeferredToolRequests)
    assert [part.tool_call_id for part in result.output.calls] == ["defer"]
    assert result.output.metadata == {"defer": {"reason": "slow"}}
    assert list(contents(result.all_messages()[-1])) == ["noop", "nope"]
