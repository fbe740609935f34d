"""Hooks at every point of a run: as methods of capabilities, and as decorated functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.ai import Agent, ModelRetry, NativeOutput, RunContext, TextOutput, UserError
from app.ai.capabilities import (
    AbstractCapability,
    CapabilityOrdering,
    CombinedCapability,
    Hooks,
    HookTimeoutError,
    OutputContext,
    ProcessEventStream,
    Toolset,
    WrapperCapability,
)
from app.ai.exceptions import SkipModelRequest, SkipToolExecution, SkipToolValidation, UnexpectedModelBehavior
from app.ai.graph import End
from app.ai.loop import CallToolsNode
from app.ai.messages import ModelResponse, PartStartEvent, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
from app.ai.models.test import TestModel
from app.ai.profiles import ModelProfile
from app.ai.result import FinalResult
from app.ai.run import AgentRunResult
from app.ai.toolsets import FunctionToolset
from tests.ai.scripted import call, scripted


class City(BaseModel):
    name: str
    people: int = 0


def add(a: int) -> int:
    """Add one."""
    return a + 1


def kinds(result: AgentRunResult[Any]) -> list[str]:
    return [part.part_kind for message in result.all_messages() for part in message.parts]


# Runs


async def test_hooks_of_the_run_stand_around_iter_too():
    log: list[str] = []
    hooks = Hooks()

    @hooks.on.run
    async def around(ctx: RunContext[Any], *, handler: Any) -> Any:
        log.append("begins")
        result = await handler()
        log.append(f"ends with {result.output}")
        return AgentRunResult("changed")

    model, _ = scripted("done")
    async with Agent(model, capabilities=[hooks]).iter("go") as run:
        assert log == ["begins"]
        async for _node in run:
            pass
        assert run.result is not None and run.result.output == "done"
    assert log == ["begins", "ends with done"] and run.result.output == "changed"


async def test_an_error_in_the_block_of_iter_may_be_answered():
    hooks = Hooks(run_error=lambda ctx, *, error: AgentRunResult(f"sorry: {error}"))
    async with Agent(TestModel(), capabilities=[hooks]).iter("go") as run:
        raise ConnectionError("lost")
    assert run.result is not None and run.result.output == "sorry: lost"


async def test_a_run_answered_at_once_has_no_nodes():
    async def around(ctx: RunContext[Any], *, handler: Any) -> Any:
        return AgentRunResult("at once")

    model, script = scripted()
    async with Agent(model, capabilities=[Hooks(run=around)]).iter("go") as run:
        nodes = [node async for node in run]
    assert [type(node) for node in nodes] == [End] and script.requests == []
    assert (await Agent(model, capabilities=[Hooks(run=around)]).run("go")).output == "at once"


async def test_a_block_that_is_left_early_ends_the_hooks():
    ended: list[str] = []

    async def around(ctx: RunContext[Any], *, handler: Any) -> Any:
        try:
            return await handler()
        finally:
            ended.append("yes")

    async with Agent(TestModel(), capabilities=[Hooks(run=around)]).iter("go"):
        pass
    assert ended == ["yes"]


async def test_what_a_hook_sets_in_the_context_holds_in_the_run():
    who: ContextVar[str] = ContextVar("who", default="nobody")

    async def around(ctx: RunContext[Any], *, handler: Any) -> Any:
        token = who.set("me")
        try:
            return await handler()
        finally:
            who.reset(token)

    def ask() -> str:
        return who.get()

    model, script = scripted(call("ask"), "done")
    await Agent(model, tools=[ask], capabilities=[Hooks(run=around)]).run("go")
    assert script.last_request.parts[0].content == "me" and who.get() == "nobody"  # pyright: ignore


# Nodes


@dataclass
class NodeLog(AbstractCapability[Any]):
    log: list[str] = field(default_factory=list)

    async def before_node_run(self, ctx: RunContext[Any], *, node: Any) -> Any:
        self.log.append(f"before {type(node).__name__}")
        return node

    async def wrap_node_run(self, ctx: RunContext[Any], *, node: Any, handler: Any) -> Any:
        self.log.append("around")
        return await handler(node)

    async def after_node_run(self, ctx: RunContext[Any], *, node: Any, result: Any) -> Any:
        self.log.append(f"after: {type(result).__name__}")
        return result


async def test_hooks_stand_around_each_node_that_is_run_but_not_around_bare_iteration():
    capability = NodeLog()
    agent = Agent(TestModel(), capabilities=[capability])
    await agent.run("go")
    assert capability.log == [
        *("before UserPromptNode", "around", "after: ModelRequestNode"),
        *("before ModelRequestNode", "around", "after: CallToolsNode"),
        *("before CallToolsNode", "around", "after: End"),
    ]
    assert capability.has_wrap_node_run and not Toolset(FunctionToolset()).has_wrap_node_run
    capability.log.clear()
    async with agent.iter("go") as run:
        async for _node in run:
            pass
    assert capability.log == []
    async with agent.iter("go") as run:
        await run.next(run.next_node)  # pyright: ignore
    assert len(capability.log) == 3


async def test_a_node_may_be_replaced_and_its_error_answered():
    hooks = Hooks()

    @hooks.on.node_run_error
    async def calm(ctx: RunContext[Any], *, node: Any, error: Exception) -> Any:
        return End(FinalResult(f"sorry: {error}"))

    model, _ = scripted(ConnectionError("lost"))
    assert (await Agent(model, capabilities=[hooks]).run("go")).output == "sorry: lost"


async def test_nodes_whose_response_is_streamed_have_their_hooks_too():
    capability = NodeLog()
    agent = Agent(TestModel(), tools=[add], capabilities=[capability])
    async with agent.run_stream("go") as result:
        assert await result.get_output() == '{"add":1}'
        assert capability.log[-2:] == ["before ModelRequestNode", "around"]
    befores = [entry.removeprefix("before ") for entry in capability.log if entry.startswith("before ")]
    assert befores == ["UserPromptNode", "ModelRequestNode", "CallToolsNode", "ModelRequestNode"]
    assert capability.log[-1] == "after: CallToolsNode"
    settled = Hooks(before_node_run=lambda ctx, *, node: CallToolsNode(ModelResponse([TextPart("no model")])))
    model, script = scripted()
    async with Agent(model, capabilities=[settled]).run_stream("go") as result:
        assert await result.get_output() == "no model" and script.requests == []
    with pytest.raises(KeyError):
        async with agent.run_stream("go"):
            raise KeyError("of the block")


# Model requests


async def test_requests_are_wrapped_and_skipped():
    hooks = Hooks()

    @hooks.on.model_request
    async def cached(ctx: RunContext[Any], *, request_context: Any, handler: Any) -> Any:
        raise SkipModelRequest(ModelResponse([TextPart("cached")]))

    @hooks.on.after_model_request
    async def shout(ctx: RunContext[Any], *, request_context: Any, response: ModelResponse) -> ModelResponse:
        return replace(response, parts=[TextPart(f"{response.text}!")])

    model, script = scripted()
    assert (await Agent(model, capabilities=[hooks]).run("go")).output == "cached!"
    assert script.requests == []


@pytest.mark.parametrize("hook", ["before_model_request", "model_request"])
async def test_a_retry_before_there_is_an_answer_leaves_none_behind(hook: str):
    tries: list[int] = []

    async def refuse_once(ctx: RunContext[Any], request_context: Any, handler: Any = None) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise ModelRetry("not yet")
        return await handler(request_context) if handler else request_context

    model, script = scripted("done")
    result = await Agent(model, capabilities=[Hooks(**{hook: refuse_once})]).run("go")  # pyright: ignore
    assert result.output == "done" and result.usage.requests == 1
    assert kinds(result) == ["user-prompt", "retry-prompt", "text"] and len(script.requests) == 1


# Tools


async def test_arguments_are_changed_before_and_after_they_are_validated():
    hooks = Hooks()

    @hooks.on.before_tool_validate(tools=["add"])
    async def repair(ctx: RunContext[Any], *, call: ToolCallPart, tool_def: Any, args: Any) -> Any:
        assert call.args == args == "{'a': 1}"
        return args.replace("'", '"')

    @hooks.on.after_tool_validate
    def double(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: dict[str, Any]) -> dict[str, Any]:
        return {"a": args["a"] * 2}

    model, script = scripted(ToolCallPart("add", "{'a': 1}"), "done")
    await Agent(model, tools=[add], capabilities=[hooks]).run("go")
    assert script.last_request.parts[0].content == 3  # pyright: ignore


async def test_validation_may_be_skipped_answered_or_refused():
    async def skip(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any) -> Any:
        raise SkipToolValidation({"a": 41})

    async def answer(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any, error: Exception) -> Any:
        assert isinstance(error, ValidationError)
        return {"a": 9}

    async def refuse(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any) -> Any:
        raise ModelRetry("not so")

    for hooks, content in (
        (Hooks(before_tool_validate=skip), 42),
        (Hooks(tool_validate_error=answer), 10),
        (Hooks(after_tool_validate=refuse, tool_validate_error=answer), "not so"),
    ):
        model, script = scripted(call("add", {"a": "x"}), "done")
        await Agent(model, tools=[add], capabilities=[hooks]).run("go")
        assert script.last_request.parts[0].content == content  # pyright: ignore


async def test_a_hook_of_some_tools_leaves_the_others_alone():
    hooks = Hooks()

    @hooks.on.before_tool_execute(tools=["other"])
    async def never(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any) -> Any:
        raise SkipToolExecution("blocked")

    @hooks.on.tool_execute
    async def around(ctx: RunContext[Any], *, call: ToolCallPart, tool_def: Any, args: Any, handler: Any) -> Any:
        assert call.args == {"a": 1} and tool_def.name == call.tool_name
        return [await handler(args)]

    def other(a: int) -> int:
        return a

    model, script = scripted([call("add", {"a": 1}, "1"), call("other", {"a": 1}, "2")], "done")
    await Agent(model, tools=[add, other], capabilities=[hooks]).run("go")
    assert [part.content for part in script.last_request.parts] == [[2], "blocked"]  # pyright: ignore
    with pytest.raises(TypeError, match="about no tool"):
        hooks.on.before_run(tools=["add"])


# Outputs


@dataclass
class OutputLog(AbstractCapability[Any]):
    """Tells what output hooks are given."""

    log: list[Any] = field(default_factory=list)
    contexts: list[OutputContext] = field(default_factory=list)

    async def before_output_validate(self, ctx: Any, *, output_context: OutputContext, output: Any) -> Any:
        self.contexts.append(output_context)
        self.log.append(("raw", output))
        return output

    async def after_output_validate(self, ctx: Any, *, output_context: OutputContext, output: Any) -> Any:
        self.log.append(("valid", output))
        return output

    async def before_output_process(self, ctx: Any, *, output_context: OutputContext, output: Any) -> Any:
        self.contexts.append(output_context)
        self.log.append(("process", output))
        return output

    async def after_output_process(self, ctx: Any, *, output_context: OutputContext, output: Any) -> Any:
        self.log.append(("done", output))
        return output


def shout(text: str) -> str:
    return text.upper()


def populate(city: City) -> str:
    return f"{city.name}: {city.people}"


def name_it(name: str, people: int) -> str:
    return f"{name}: {people}"


PARIS = City(name="Paris", people=2)
ARGS = {"name": "Paris", "people": 2}
NATIVE = ModelProfile(supports_json_schema_output=True)


@pytest.mark.parametrize(
    ("output_type", "answer", "values", "mode"),
    [
        (str, "hi", [("process", "hi"), ("done", "hi")], "text"),
        (TextOutput(shout), "hi", [("process", "hi"), ("done", "HI")], "text"),
        (
            City,
            call("final_result", ARGS),
            [("raw", ARGS), ("valid", PARIS), ("process", PARIS), ("done", PARIS)],
            "tool",
        ),
        (
            int,
            call("final_result", {"response": "3"}),
            [("raw", {"response": "3"}), ("valid", 3), ("process", 3), ("done", 3)],
            "tool",
        ),
        (
            populate,
            call("final_result", ARGS),
            [("raw", ARGS), ("valid", PARIS), ("process", PARIS), ("done", "Paris: 2")],
            "tool",
        ),
        (
            name_it,
            call("final_result", ARGS),
            [("raw", ARGS), ("valid", ARGS), ("process", ARGS), ("done", "Paris: 2")],
            "tool",
        ),
        (
            NativeOutput(City),
            PARIS.model_dump_json(),
            [("raw", PARIS.model_dump_json()), ("valid", PARIS), ("process", PARIS), ("done", PARIS)],
            "native",
        ),
    ],
)
async def test_hooks_see_an_output_raw_valid_and_done(output_type: Any, answer: Any, values: list[Any], mode: str):
    capability = OutputLog()
    model, _ = scripted(answer, profile=NATIVE)
    result = await Agent(model, output_type=output_type, capabilities=[capability]).run("go")
    assert capability.log == values and result.output == values[-1][1]
    told = capability.contexts[0]
    assert told.mode == mode and told.has_function is callable(getattr(output_type, "output_function", output_type)) & (
        not isinstance(output_type, type)
    )
    assert (told.tool_call is not None) is (told.tool_def is not None) is (mode == "tool")


async def test_one_of_several_native_outputs_passes_the_hooks_as_its_value():
    capability = OutputLog()
    model, _ = scripted('{"result": {"kind": "City", "data": {"name": "Paris", "people": 2}}}', profile=NATIVE)
    agent = Agent(model, output_type=NativeOutput([City, add]), capabilities=[capability])
    assert (await agent.run("go")).output == PARIS
    assert capability.log[1:] == [("valid", PARIS), ("process", PARIS), ("done", PARIS)]


async def test_hooks_change_outputs_and_output_validators_stand_inside():
    hooks = Hooks()
    seen: list[Any] = []

    @hooks.on.output_process
    async def around(ctx: RunContext[Any], *, output_context: Any, output: Any, handler: Any) -> Any:
        return f"<{await handler(output + '!')}>"

    agent = Agent(TestModel(custom_output_text="hi"), capabilities=[hooks])

    @agent.output_validator
    def look(output: str) -> str:
        seen.append(output)
        return output

    assert (await agent.run("go")).output == "<hi!>" and seen == ["hi!"]


async def test_an_invalid_output_may_be_answered_or_refused():
    async def answer(ctx: RunContext[Any], *, output_context: Any, output: Any, error: Exception) -> Any:
        return City(name="fallback")

    model, _ = scripted(call("final_result", {"name": 3}))
    agent = Agent(model, output_type=City, capabilities=[Hooks(output_validate_error=answer)])
    assert (await agent.run("go")).output == City(name="fallback")

    async def refuse(ctx: RunContext[Any], *, output_context: Any, output: Any) -> Any:
        raise ModelRetry("better")

    for output_type, answers in ((str, ["a", "b"]), (City, [call("final_result", ARGS)] * 2)):
        model, script = scripted(*answers)
        agent = Agent(model, output_type=output_type, capabilities=[Hooks(before_output_process=refuse)])
        with pytest.raises(UnexpectedModelBehavior, match="output retries"):
            await agent.run("go")
        assert isinstance(part := script.last_request.parts[0], RetryPromptPart) and part.content == "better"


async def test_an_error_of_an_output_function_may_be_answered_but_a_retry_is_none():
    def fail(text: str) -> str:
        raise KeyError(text)

    async def answer(ctx: RunContext[Any], *, output_context: Any, output: Any, error: Exception) -> Any:
        return f"sorry: {error!r}"

    model, _ = scripted("hi")
    agent = Agent(model, output_type=TextOutput(fail), capabilities=[Hooks(output_process_error=answer)])
    assert (await agent.run("go")).output == "sorry: KeyError('hi')"


async def test_hooks_of_tools_do_not_see_output_tools():
    hooks = Hooks()

    @hooks.on.before_tool_validate
    @hooks.on.before_tool_execute
    async def never(ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any) -> Any:
        raise AssertionError("not for outputs")

    model, _ = scripted(call("final_result", ARGS))
    assert (await Agent(model, output_type=City, capabilities=[hooks]).run("go")).output == PARIS


async def test_outputs_that_are_streamed_pass_the_hooks_too():
    hooks = Hooks()

    @hooks.on.after_output_process
    async def mark(ctx: RunContext[Any], *, output_context: Any, output: str) -> str:
        return output + ("…" if ctx.partial_output else "!")

    async with Agent(TestModel(custom_output_text="one two"), capabilities=[hooks]).run_stream("go") as result:
        assert [text async for text in result.stream_output(debounce_by=None)][-1] == "one two!"


# Events


async def test_a_hook_sees_and_changes_events_also_without_a_handler():
    seen: list[str] = []
    hooks = Hooks()

    @hooks.on.event
    async def look(ctx: RunContext[Any], event: Any) -> Any:
        seen.append(event.event_kind)
        return event

    model, _ = scripted(call("add", {"a": 1}), "done")
    await Agent(model, tools=[add], capabilities=[hooks]).run("go")
    assert [kind for kind in seen if kind.startswith("function")] == ["function_tool_call", "function_tool_result"]


async def test_events_are_read_by_an_observer_and_rewritten_by_a_generator():
    observed: list[str] = []
    handled: list[str] = []

    async def observe(ctx: RunContext[Any], stream: AsyncIterable[Any]) -> None:
        async for event in stream:
            observed.append(event.event_kind)

    async def only_starts(ctx: RunContext[Any], stream: AsyncIterable[Any]) -> AsyncIterator[Any]:
        async for event in stream:
            if isinstance(event, PartStartEvent):
                yield event

    async def handle(ctx: RunContext[Any], stream: AsyncIterable[Any]) -> None:
        async for event in stream:
            handled.append(event.event_kind)

    agent = Agent(TestModel(), capabilities=[ProcessEventStream(only_starts), ProcessEventStream(observe)])
    await agent.run("go", event_stream_handler=handle)
    assert set(handled) == {"part_start"} and {"part_delta", "part_end"} <= set(observed)


# Registering


async def test_functions_of_one_hook_run_as_they_were_registered_sync_or_async():
    log: list[str] = []
    hooks = Hooks(before_run=[lambda ctx: log.append("first")])

    @hooks.on.before_run
    async def second(ctx: RunContext[Any]) -> None:
        log.append("second")

    @hooks.on.prepare_tools
    async def none(ctx: RunContext[Any], tool_defs: list[Any]) -> list[Any]:
        return []

    model, script = scripted("done")
    await Agent(model, tools=[add], capabilities=[hooks]).run("go")
    assert log == ["first", "second"] and script.infos[0].function_tools == []


async def test_a_slow_hook_is_given_up():
    hooks = Hooks()

    @hooks.on.before_model_request(timeout=0.01)
    async def slow(ctx: RunContext[Any], request_context: Any) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(HookTimeoutError, match="'before_model_request' function 'slow' timed out") as info:
        await Agent(TestModel(), capabilities=[hooks]).run("go")
    assert (info.value.hook_name, info.value.func_name, info.value.timeout) == ("before_model_request", "slow", 0.01)


def test_a_hook_that_does_not_exist_is_refused():
    with pytest.raises(AttributeError, match="There is no hook 'before_lunch'"):
        _ = Hooks().on.before_lunch
    with pytest.raises(TypeError, match="There is no hook 'lunch'"):
        Hooks(lunch=print)


# Order


@dataclass
class Named(AbstractCapability[Any]):
    name: str
    ordering: CapabilityOrdering | None = None

    def get_ordering(self) -> CapabilityOrdering | None:
        return self.ordering


class Other(Named):
    pass


def order(*capabilities: Named) -> list[str]:
    return [item.name for item in CombinedCapability(capabilities).capabilities if isinstance(item, Named)]


def test_capabilities_stand_where_they_ask_to():
    outermost, innermost = CapabilityOrdering(position="outermost"), CapabilityOrdering(position="innermost")
    assert order(Named("a"), Named("b")) == ["a", "b"]
    assert order(Named("a"), Named("b", outermost), Named("c", outermost)) == ["b", "c", "a"]
    assert order(Named("a", innermost), Named("b"), Named("c")) == ["b", "c", "a"]
    assert order(Other("a"), Named("b", CapabilityOrdering(wraps=[Other]))) == ["b", "a"]
    last = Named("last")
    assert order(Named("a", CapabilityOrdering(wrapped_by=[last])), Named("b"), last) == ["b", "last", "a"]
    assert Agent(capabilities=[Named("a"), Named("b", outermost)]).root_capability.capabilities[0] == Named(
        "b", outermost
    )


def test_an_order_that_cannot_be_is_refused():
    with pytest.raises(UserError, match="needs a Other beside it"):
        order(Named("a", CapabilityOrdering(requires=[Other])))
    assert order(Named("a", CapabilityOrdering(requires=[Other])), Other("b")) == ["a", "b"]
    with pytest.raises(UserError, match="in a circle"):
        order(Other("a", CapabilityOrdering(wraps=[Named])), Named("b", CapabilityOrdering(wraps=[Other])))


# Wrappers


async def test_a_wrapper_passes_everything_on_and_prefixes_tools():
    @dataclass
    class Quiet(WrapperCapability[Any]):
        async def before_node_run(self, ctx: RunContext[Any], *, node: Any) -> Any:
            return node

    inner = NodeLog()
    model, script = scripted("done")
    await Agent(model, capabilities=[Quiet(inner), Toolset(FunctionToolset([add])).prefix_tools("my")]).run("go")
    assert inner.log[:2] == ["around", "after: ModelRequestNode"]
    assert [tool.name for tool in script.infos[0].function_tools] == ["my_add"]


async def test_a_capability_with_state_of_its_own_for_each_run_keeps_its_toolset():
    @dataclass
    class Counting(AbstractCapability[Any]):
        count: int = 0

        async def for_run(self, ctx: RunContext[Any]) -> AbstractCapability[Any]:
            return Counting(self.count + 1)

        def get_toolset(self) -> FunctionToolset[Any]:
            return FunctionToolset([self.look])

        def look(self) -> int:
            return self.count

    model, script = scripted(call("look"), "done")
    result = await Agent(model, capabilities=[Counting()]).run("go")
    assert [part.content for part in script.last_request.parts if isinstance(part, ToolReturnPart)] == [1]
    assert "retry-prompt" not in kinds(result)
