"""Tool calls that are answered outside the run."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.ai import (
    Agent,
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ExternalToolset,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ModelRetry,
    RetryPromptPart,
    RunContext,
    TextPart,
    ToolApproved,
    ToolCallPart,
    ToolDefinition,
    ToolDenied,
    ToolReturn,
    ToolReturnPart,
    UserError,
    UserPromptPart,
    WrapperToolset,
)
from app.ai.capabilities import HandleDeferredToolCalls
from app.ai.steps import Steps, use_steps
from tests.ai.scripted import Script, call, scripted

DONE: list[tuple[str, bool, Any]] = []


@pytest.fixture(autouse=True)
def _nothing_done() -> None:
    DONE.clear()


def delete(ctx: RunContext[Any], path: str) -> str:
    DONE.append((path, ctx.tool_call_approved, ctx.tool_call_metadata))
    return f"deleted {path}"


def careful(ctx: RunContext[Any], path: str) -> str:
    if not ctx.tool_call_approved or path == "/":
        raise ApprovalRequired({"path": path})
    return f"deleted {path}"


def later() -> None:
    raise CallDeferred


def read() -> str:
    return "read"


def agent_with(*answers: Any) -> tuple[Agent[Any, Any], Script]:
    model, script = scripted(*answers)
    agent = Agent(
        model,
        output_type=[str, DeferredToolRequests],
        tools=[careful, later, read],
        toolsets=[ExternalToolset([ToolDefinition(name="ask_customer")])],
    )
    agent.tool(requires_approval=True)(delete)
    return agent, script


def answers_of(message: ModelMessage) -> list[tuple[str, Any]]:
    return [
        (part.part_kind if isinstance(part, RetryPromptPart) else part.outcome, part.content)
        for part in message.parts
        if isinstance(part, ToolReturnPart | RetryPromptPart)
    ]


async def test_every_way_of_deferring_ends_the_run_with_requests():
    agent, _ = agent_with(
        [
            call("delete", {"path": "a"}),
            call("read"),
            call("ask_customer", {"anything": 1}),
            call("later"),
            call("careful", {"path": "b"}),
        ]
    )
    result = await agent.run("go")
    requests = result.output
    assert isinstance(requests, DeferredToolRequests)
    assert [part.tool_name for part in requests.calls] == ["later", "ask_customer"]
    assert [part.tool_name for part in requests.approvals] == ["careful", "delete"]
    assert requests.metadata == {"careful": {"path": "b"}}
    assert answers_of(result.all_messages()[-1]) == [("success", "read")]
    assert DONE == []


async def test_invalid_arguments_of_a_deferred_call_are_sent_back_at_once():
    agent, script = agent_with(call("delete", {}), "done")
    assert (await agent.run("go")).output == "done"
    assert [part.part_kind for part in script.last_request.parts] == ["retry-prompt"]


@pytest.mark.parametrize("args", ['{"name": ', "[1]", "anything"])
async def test_arguments_that_are_no_json_object_never_leave_the_run(args: str):
    agent, script = agent_with(call("ask_customer", args), "done")
    assert (await agent.run("go")).output == "done"
    assert [part.part_kind for part in script.last_request.parts] == ["retry-prompt"]


async def test_deferring_needs_its_place_in_the_output_type():
    model, _ = scripted(call("later"))
    with pytest.raises(UserError, match="DeferredToolRequests is not among the output types"):
        await Agent(model, tools=[later]).run("go")


async def test_where_a_run_may_wait_deferring_needs_no_output_type_and_no_validator_sees_it():
    class Waiting(Steps):
        may_wait = True

    model, _ = scripted(call("later"))
    agent = Agent(model, tools=[later])
    agent.output_validator(lambda output: pytest.fail(f"validated {output}"))
    with use_steps(Waiting()):
        result = await agent.run("go")
    assert isinstance(result.output, DeferredToolRequests)


async def test_an_output_beside_a_deferred_call_wins():
    model, _ = scripted([call("later_outside"), call("final_result", {"response": 1})])
    agent = Agent(
        model,
        output_type=[int, DeferredToolRequests],
        toolsets=[ExternalToolset([ToolDefinition(name="later_outside")])],
        end_strategy="graceful",
    )
    result = await agent.run("go")
    assert result.output == 1
    assert answers_of(result.all_messages()[-1])[1] == (
        "success",
        "Tool not executed - a final result was already processed.",
    )


async def test_a_run_goes_on_with_the_answers_in_the_order_of_the_calls():
    agent, script = agent_with(
        [
            call("delete", {"path": "a"}, "1"),
            call("delete", {"path": "b"}, "2"),
            call("ask_customer", id="3"),
            call("delete", {"path": "c"}, "4"),
        ],
        "done",
    )
    first = await agent.run("go")
    results = DeferredToolResults(
        approvals={"4": ToolApproved(override_args={"path": "z"}), "2": False, "1": True},
        calls={"3": {"said": "yes"}},
        metadata={"1": {"by": "Ann"}},
    )
    result = await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
    assert result.output == "done"
    assert answers_of(script.last_request) == [
        ("success", "deleted a"),
        ("denied", "This tool call was denied."),
        ("success", {"said": "yes"}),
        ("success", "deleted z"),
    ]
    assert sorted(DONE) == [("a", True, {"by": "Ann"}), ("z", True, None)]
    assert result.usage().tool_calls == 2


async def test_the_answers_may_come_from_json_in_another_process():
    agent, script = agent_with([call("delete", {"path": "a"}), call("ask_customer"), call("read")], "done")
    first = await agent.run("go")
    history = ModelMessagesTypeAdapter.validate_json(first.all_messages_json())
    requests = TypeAdapter(DeferredToolRequests).validate_json(
        TypeAdapter(DeferredToolRequests).dump_json(first.output)
    )
    adapter = TypeAdapter(DeferredToolResults)
    results = adapter.validate_json(
        adapter.dump_json(
            requests.build_results(
                approvals={"delete": ToolDenied("Never.")},
                calls={"ask_customer": ToolReturn("yes", content="She smiled.")},
            )
        )
    )
    result = await agent.run(message_history=history, deferred_tool_results=results)
    assert result.output == "done"
    (sent,) = script.requests[-1][2:]
    assert [part.part_kind for part in sent.parts] == ["tool-return", "tool-return", "tool-return", "user-prompt"]
    assert answers_of(sent) == [("success", "read"), ("denied", "Never."), ("success", "yes")]


@pytest.mark.parametrize("answer", [ModelRetry("Ask again."), RetryPromptPart("Ask again.")])
async def test_an_outsider_may_send_a_call_back(answer: Any):
    agent, script = agent_with(call("ask_customer", id="7"), "done")
    first = await agent.run("go")
    await agent.run(
        message_history=first.all_messages(), deferred_tool_results=DeferredToolResults(calls={"7": answer})
    )
    (part,) = script.last_request.parts
    assert isinstance(part, RetryPromptPart)
    assert (part.content, part.tool_name, part.tool_call_id) == ("Ask again.", "ask_customer", "7")


async def test_a_new_prompt_comes_after_the_answers():
    agent, script = agent_with(call("delete", {"path": "a"}), "done")
    first = await agent.run("go")
    await agent.run(
        "And then?",
        message_history=first.all_messages(),
        deferred_tool_results=first.output.build_results(approve_all=True),
    )
    assert [part.part_kind for part in script.last_request.parts] == ["tool-return", "user-prompt"]


async def test_an_approved_call_may_ask_again():
    agent, _ = agent_with(call("careful", {"path": "/"}), "done")
    first = await agent.run("go")
    again = await agent.run(
        message_history=first.all_messages(), deferred_tool_results=first.output.build_results(approve_all=True)
    )
    assert isinstance(again.output, DeferredToolRequests)
    assert [part.tool_call_id for part in again.output.approvals] == ["careful"]


@pytest.mark.parametrize("inside", [False, True])
async def test_each_answered_call_is_told_once_whoever_answers_it(inside: bool):
    told: list[Any] = []

    async def watch(_: RunContext[Any], stream: AsyncIterable[Any]) -> None:
        async for event in stream:
            if isinstance(event, FunctionToolCallEvent):
                told.append((event.tool_call_id, event.args_valid))
            elif isinstance(event, FunctionToolResultEvent):
                told.append(event.tool_call_id)

    answers = DeferredToolResults(approvals={"1": True, "2": False}, calls={"later": 1})
    calls = [call("delete", {"path": "a"}, "1"), call("delete", {"path": "b"}, "2"), call("later")]
    agent, _ = agent_with(calls, "done")
    if inside:
        handler = HandleDeferredToolCalls[Any](lambda ctx, requests: answers)
        await agent.run("go", capabilities=[handler], event_stream_handler=watch)
        assert told[:3] == [("later", True), ("1", True), ("2", True)]
    else:
        history = (await agent.run("go")).all_messages()
        await agent.run(message_history=history, deferred_tool_results=answers, event_stream_handler=watch)
        # Nobody looks at the arguments of calls that are not made.
        assert told[:3] == [("1", True), ("2", None), ("later", None)]
    assert told[3:] == ["2", "later", "1"]


async def test_calls_with_one_id_are_each_told():
    agent, _ = agent_with([call("read", id="1"), call("read", id="1")], "done")
    async with agent.run_stream_events("go") as events:
        told = [event.event_kind async for event in events]
    assert told.count("function_tool_call") == told.count("function_tool_result") == 2


async def test_wrong_arguments_given_with_an_approval_are_sent_back_to_the_model():
    agent, script = agent_with(call("delete", {"path": "a"}), "done")
    first = await agent.run("go")
    results = DeferredToolResults(approvals={"delete": ToolApproved(override_args={"path": None})})
    await agent.run(message_history=first.all_messages(), deferred_tool_results=results)
    assert [part.part_kind for part in script.last_request.parts] == ["retry-prompt"]
    assert DONE == []


@pytest.mark.parametrize(
    ("history", "results", "message"),
    [
        ([], DeferredToolResults(), "need a message_history"),
        ([ModelResponse([TextPart("x")])], DeferredToolResults(), "no tool call of the message_history is open"),
        (
            [
                ModelResponse([call("later", id="1"), call("read", id="2")]),
                ModelRequest([ToolReturnPart("read", 1, "2")]),
            ],
            DeferredToolResults(calls={"2": 1}),
            r"expected \['1'\], got \['2'\]",
        ),
        ([ModelResponse([call("later", id="1")])], DeferredToolResults(), r"expected \['1'\], got \[\]"),
    ],
)
async def test_results_must_answer_exactly_the_open_calls(
    history: list[ModelMessage], results: DeferredToolResults, message: str
):
    agent, _ = agent_with()
    with pytest.raises(UserError, match=message):
        await agent.run(message_history=history, deferred_tool_results=results)


class UnknownOutcome(WrapperToolset[Any]):
    """Like durability after a crash: does not know whether a call of `read` happened."""

    async def call_tool(self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: Any) -> Any:
        if name == "read" and not ctx.tool_call_approved:
            raise CallDeferred({"waiting_for": "outcome_unknown"})
        return await super().call_tool(name, tool_args, ctx, tool)


class CrashedSteps(Steps):
    may_wait = True

    def wrap_toolset(self, toolset: Any) -> Any:
        return toolset.visit_and_replace(UnknownOutcome)


async def test_a_call_with_unknown_outcome_waits_while_its_siblings_finish():
    def write(text: str) -> str:
        return f"wrote {text}"

    model, script = scripted([call("write", {"text": "a"}), call("read"), call("write", {"text": "b"}, "w2")], "done")
    agent = Agent(model, tools=[write, read])
    with use_steps(CrashedSteps()):
        result = await agent.run("go")
    assert result.output == DeferredToolRequests(  # type: ignore[comparison-overlap]
        calls=[ToolCallPart("read", None, "read")], metadata={"read": {"waiting_for": "outcome_unknown"}}
    )
    assert answers_of(result.all_messages()[-1]) == [("success", "wrote a"), ("success", "wrote b")]
    history = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    for results in (
        DeferredToolResults(calls={"read": "a person looked"}),
        DeferredToolResults(approvals={"read": True}),
    ):
        script.answers[:] = [script.answers[0]] * 2
        resumed = await agent.run(message_history=history, deferred_tool_results=results)
        assert resumed.output == "done"
    assert answers_of(script.last_request)[-1] == ("success", "read")


async def test_a_call_with_unknown_outcome_beside_the_final_result_is_not_said_to_be_undone():
    def write(text: str) -> str:
        raise CallDeferred

    model, _ = scripted([call("final_result", {"response": 1}), call("read"), call("write", {"text": "a"})])
    agent = Agent(model, output_type=int, tools=[write, read], end_strategy="graceful")
    with use_steps(CrashedSteps()):
        result = await agent.run("go")
    assert result.output == 1
    assert answers_of(result.all_messages()[-1]) == [
        ("success", "Final result processed."),
        ("failed", "Nobody knows whether this tool call was carried out."),
        ("success", "Tool not executed - a final result was already processed."),
    ]


async def test_a_prompt_is_part_of_the_history_while_a_run_waits():
    agent, _ = agent_with(call("later"))
    result = await agent.run("go")
    assert [part.content for part in result.all_messages()[0].parts if isinstance(part, UserPromptPart)] == ["go"]
