"""Tools, deferred requests and their results."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from app.ai import (
    Agent,
    DeferredToolRequests,
    DeferredToolResults,
    ModelRetry,
    RetryPromptPart,
    RunContext,
    Tool,
    ToolApproved,
    ToolCallPart,
    ToolDefinition,
    ToolDenied,
    ToolReturn,
    ToolReturnPart,
    UserError,
)
from app.ai.models.test import TestModel
from tests.ai.scripted import call, scripted


def answers(script: Any) -> list[Any]:
    """What the tools said, as the newest request tells the model."""
    return [part.content for part in script.last_request.parts]


async def test_tool_finds_out_by_itself_whether_its_function_takes_the_context():
    def plain(x: int) -> int:
        return x

    def with_context(ctx: RunContext[str], x: int) -> str:
        return f"{ctx.deps}{x}"

    model, script = scripted([call("plain", {"x": 1}), call("with_context", {"x": 2})], "done")
    agent = Agent(model, deps_type=str, tools=[plain, Tool(with_context)])
    await agent.run("go", deps="n")
    assert answers(script) == [1, "n2"]


def test_a_definition_says_what_the_tool_was_given():
    def send(to: str) -> None:
        """Send it."""

    tool = Tool(send, name="post", strict=True, sequential=True, requires_approval=True, metadata={"a": 1}, timeout=2)
    assert tool.tool_def == ToolDefinition(
        name="post",
        description="Send it.",
        parameters_json_schema=tool.function_schema.json_schema,
        strict=True,
        sequential=True,
        kind="unapproved",
        metadata={"a": 1},
        timeout=2,
        return_schema={"type": "null"},
    )
    assert tool.tool_def.defer
    assert repr(ToolDefinition(name="x", strict=True)) == "ToolDefinition(name='x', strict=True)"


async def test_the_return_schema_is_in_a_request_only_when_asked_for():
    def price() -> int:
        return 1

    assert Tool(price).tool_def.return_schema == {"type": "integer"}
    model, script = scripted("done")
    await Agent(model, tools=[Tool(price), Tool(price, name="told", include_return_schema=True)]).run("go")
    assert [tool.return_schema for tool in script.infos[0].function_tools] == [None, {"type": "integer"}]


def test_a_timeout_must_be_positive():
    with pytest.raises(UserError, match="timeout of 0 seconds"):
        Tool(lambda: None, name="wait", timeout=0)


async def test_a_tool_from_a_schema_gets_its_arguments_unchecked():
    def anything(ctx: RunContext, **args: Any) -> Any:
        return args

    tool = Tool.from_schema(
        anything, "anything", "Takes it.", {"type": "object", "properties": {"x": {"type": "integer"}}}, takes_ctx=True
    )
    model, script = scripted(call("anything", {"x": "not a number", "y": 1}), "done")
    await Agent(model, tools=[tool]).run("go")
    assert answers(script) == [{"x": "not a number", "y": 1}]


async def test_prepare_changes_or_hides_a_tool_for_each_step():
    async def only_later(ctx: RunContext, tool_def: ToolDefinition) -> ToolDefinition | None:
        return tool_def if ctx.run_step > 1 else None

    def later() -> str:
        return "now"

    model, script = scripted(call("later", id="1"), call("later", id="2"), "done")
    await Agent(model, tools=[Tool(later, prepare=only_later, max_retries=3)]).run("go")
    assert [len(info.function_tools) for info in script.infos] == [0, 1, 1]
    (hidden,) = script.requests[1][-1].parts
    assert isinstance(hidden, RetryPromptPart) and "No tool named 'later'" in str(hidden.content)
    assert answers(script) == ["now"]


async def test_prepare_may_rename_a_tool_but_not_to_a_taken_name():
    def rename(ctx: RunContext, tool_def: ToolDefinition) -> ToolDefinition:
        tool_def.name = "other"
        return tool_def

    def one() -> str:
        return "one"

    def other() -> str:
        return "other"

    model, script = scripted(call("other"), "done")
    await Agent(model, tools=[Tool(one, prepare=rename)]).run("go")
    assert answers(script) == ["one"]
    with pytest.raises(UserError, match="renamed it to 'other', which is taken"):
        await Agent(TestModel(), tools=[other, Tool(one, prepare=rename)]).run("go")


async def test_an_args_validator_sees_the_context_and_can_send_the_call_back():
    seen: list[Any] = []

    def check(ctx: RunContext[int], x: int) -> None:
        seen.append((ctx.deps, ctx.tool_name, x))
        if x < 0:
            raise ModelRetry("x must not be negative")

    def root(x: int) -> int:
        return x

    model, script = scripted(call("root", {"x": -4}, "1"), call("root", {"x": 4}, "2"), "done")
    agent = Agent(model, deps_type=int, tools=[Tool(root, args_validator=check)])
    await agent.run("go", deps=7)
    assert seen == [(7, "root", -4), (7, "root", 4)]
    (first,) = script.requests[1][-1].parts
    assert isinstance(first, RetryPromptPart) and first.content == "x must not be negative"


def test_deferred_results_keep_their_kinds_through_json():
    adapter = TypeAdapter(DeferredToolResults)
    results = DeferredToolResults(
        calls={"a": ToolReturn(1), "b": ModelRetry("again"), "c": {"plain": 1}, "d": [2], "e": RetryPromptPart("no")},
        approvals={"f": True, "g": ToolDenied("never"), "h": ToolApproved(override_args={"x": 1})},
        metadata={"f": {"by": "Ann"}},
    )
    assert adapter.validate_json(adapter.dump_json(results)) == results


def test_deferred_requests_survive_json():
    adapter = TypeAdapter(DeferredToolRequests)
    requests = DeferredToolRequests(calls=[call("a", {"x": 1})], approvals=[call("b")], metadata={"a": {"why": "so"}})
    assert adapter.validate_json(adapter.dump_json(requests)) == requests


def test_build_results_answers_only_what_was_asked():
    requests = DeferredToolRequests(calls=[call("a")], approvals=[call("b"), call("c")])
    results = requests.build_results(calls={"a": 1}, approvals={"b": False}, approve_all=True)
    assert results == DeferredToolResults(calls={"a": 1}, approvals={"b": False, "c": True})
    with pytest.raises(UserError, match=r"calls names tool calls that are not open: \['b'\]; open are \['a'\]"):
        requests.build_results(calls={"b": 1})
    with pytest.raises(ValueError, match="not open"):
        requests.build_results(metadata={"d": {}})


def test_remaining_tells_what_is_still_to_be_answered():
    requests = DeferredToolRequests(calls=[call("a")], approvals=[call("b")], metadata={"a": {"x": 1}, "b": {"y": 2}})
    remaining = requests.remaining(DeferredToolResults(calls={"a": 1}))
    assert remaining == DeferredToolRequests(approvals=[call("b")], metadata={"b": {"y": 2}})
    everything = DeferredToolResults(calls={"a": 1})
    everything.update(DeferredToolResults(approvals={"b": True}))
    assert requests.remaining(everything) is None


async def test_a_tool_return_shows_content_to_the_model_and_metadata_to_the_application():
    def look() -> ToolReturn:
        return ToolReturn("seen", content=["a picture of", "a cat"], metadata={"camera": 1})

    model, script = scripted([call("look", id="1"), call("look", id="2")], "done")
    await Agent(model, tools=[look]).run("go")
    kinds = [part.part_kind for part in script.last_request.parts]
    assert kinds == ["tool-return", "tool-return", "user-prompt", "user-prompt"]
    first = script.last_request.parts[0]
    assert isinstance(first, ToolReturnPart) and (first.content, first.metadata) == ("seen", {"camera": 1})


async def test_a_tool_return_inside_a_list_is_refused():
    def look() -> list[ToolReturn]:
        return [ToolReturn("seen")]

    model, _ = scripted(call("look"))
    with pytest.raises(UserError, match="'look' returned a list with ToolReturn in it"):
        await Agent(model, tools=[look]).run("go")


def test_calls_in_requests_are_the_parts_of_the_response():
    part = ToolCallPart("a", '{"x": 1}', "id-1")
    assert DeferredToolRequests(calls=[part]).calls[0] is part


async def test_the_model_is_told_the_return_schema_in_the_description():
    def price() -> int:
        """Ask."""
        return 1

    model, script = scripted("done")
    await Agent(model, tools=[Tool(price, include_return_schema=True)]).run("go")
    assert script.infos[0].function_tools[0].description == 'Ask.\n\nReturns:\n\n{\n  "type": "integer"\n}'
