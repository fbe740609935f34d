"""Capabilities: what they add to agents, and where their hooks step in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import current_thread
from typing import Any

import pytest
from pydantic import BaseModel

from app.ai import Agent, ModelRetry, RunContext, UserError
from app.ai.capabilities import (
    AbstractCapability,
    HandleDeferredToolCalls,
    PrepareOutputTools,
    PrepareTools,
    ProcessHistory,
    ReinjectSystemPrompt,
    Thinking,
    ThreadExecutor,
    Toolset,
)
from app.ai.deferred import DeferredToolRequests, DeferredToolResults, ToolDenied
from app.ai.exceptions import SkipModelRequest, SkipToolExecution, UnexpectedModelBehavior
from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, SystemPromptPart, TextPart, ToolReturnPart
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.request_context import ModelRequestContext
from app.ai.models.test import TestModel
from app.ai.profiles import ModelProfile
from app.ai.run import AgentRunResult
from app.ai.steps import Steps, use_steps
from app.ai.tools import ToolDefinition
from app.ai.toolsets import ExternalToolset, FunctionToolset
from tests.ai.scripted import call, scripted


def add(a: int) -> int:
    """Add one."""
    return a + 1


def returned(result: AgentRunResult[Any]) -> list[Any]:
    parts = [part for message in result.all_messages() for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


@dataclass
class Logging(AbstractCapability[Any]):
    """Tells when its hooks run."""

    name: str
    log: list[str] = field(default_factory=list)

    async def before_run(self, ctx: RunContext[Any]) -> None:
        self.log.append(f"{self.name} before run")

    async def after_run(self, ctx: RunContext[Any], *, result: Any) -> Any:
        self.log.append(f"{self.name} after run")
        return result

    async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
        self.log.append(f"{self.name} before request")
        return request_context

    async def wrap_model_request(self, ctx: RunContext[Any], *, request_context: Any, handler: Any) -> Any:
        self.log.append(f"{self.name} asks")
        response = await handler(request_context)
        self.log.append(f"{self.name} asked")
        return response

    async def after_model_request(self, ctx: RunContext[Any], *, request_context: Any, response: Any) -> Any:
        self.log.append(f"{self.name} after request")
        return response


async def test_hooks_run_in_order_and_after_hooks_in_reverse():
    log: list[str] = []
    agent = Agent(TestModel(), capabilities=[Logging("a", log)])
    await agent.run("go", capabilities=[Logging("b", log)])
    assert log == [
        *("a before run", "b before run", "a before request", "b before request"),
        *("a asks", "b asks", "b asked", "a asked", "b after request", "a after request"),
        *("b after run", "a after run"),
    ]


async def test_a_capability_adds_instructions_settings_and_tools():
    class Kind(AbstractCapability[Any]):
        def get_instructions(self) -> list[Any]:
            return ["Be kind.", lambda: "Be quick."]

        def get_model_settings(self) -> Any:
            return {"temperature": 0.5, "max_tokens": 1}

        def get_toolset(self) -> FunctionToolset[Any]:
            return FunctionToolset([add])

    model, script = scripted(call("add", {"a": 1}), "done")
    agent = Agent(model, instructions="You are I.", capabilities=[Kind()], model_settings={"top_k": 3, "max_tokens": 9})
    result = await agent.run("go", instructions="Now.", model_settings={"temperature": 1.0})
    assert script.infos[0].instructions == "You are I.\nBe kind.\nNow.\n\nBe quick."
    assert script.infos[0].model_settings == {"top_k": 3, "max_tokens": 1, "temperature": 1.0}
    assert returned(result) == [2]
    with agent.override(instructions="Only this.", toolsets=[]):
        script.answers.append("done")
        await agent.run("go")
    assert script.infos[-1].instructions == "Only this." and script.infos[-1].function_tools == []


async def test_a_function_may_choose_a_capability_for_each_run():
    def choose(ctx: RunContext[bool]) -> AbstractCapability[bool] | None:
        return Toolset(FunctionToolset([add])) if ctx.deps else None

    model, script = scripted("done", "done")
    agent = Agent(model, deps_type=bool, capabilities=[choose])
    await agent.run("go", deps=True)
    await agent.run("go", deps=False)
    assert [[tool.name for tool in info.function_tools] for info in script.infos] == [["add"], []]


async def test_a_hook_may_change_the_whole_request_and_the_response():
    class Change(AbstractCapability[Any]):
        async def before_model_request(self, ctx: RunContext[Any], request_context: ModelRequestContext) -> Any:
            assert ctx.model_settings == {"top_k": 1}
            request = ModelRequest.user_text_prompt("changed")
            return replace(request_context, model=other, messages=[request], model_settings={"top_k": 2})

        async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> Any:
            return replace(response, parts=[TextPart("rewritten")])

    other, script = scripted("original")
    agent = Agent(TestModel(), instructions="Be kind.", capabilities=[Change()])
    result = await agent.run("go", message_history=[ModelRequest.user_text_prompt("old")], model_settings={"top_k": 1})
    assert result.output == "rewritten"
    assert script.infos[0].model_settings == {"top_k": 2} and len(script.requests[0]) == 1
    request, _ = result.all_messages()
    assert isinstance(request, ModelRequest) and request.parts == script.last_request.parts
    assert request.run_id == result.run_id and request.instructions == "Be kind."


async def test_a_request_may_be_skipped_and_still_counts():
    class Cached(AbstractCapability[Any]):
        async def before_model_request(self, ctx: RunContext[Any], request_context: Any) -> Any:
            raise SkipModelRequest(ModelResponse([TextPart("cached")]))

    model, script = scripted()
    result = await Agent(model, capabilities=[Cached()]).run("go")
    assert (result.output, result.usage.requests, script.requests) == ("cached", 1, [])
    async with Agent(model, capabilities=[Cached()]).run_stream("go") as streamed:
        assert await streamed.get_output() == "cached"


@pytest.mark.parametrize("answers", [["bad", "good"], [[TextPart("bad"), call("add", {"a": 1})], "good"]])
async def test_a_response_that_a_hook_refuses_is_kept_and_asked_for_again(answers: list[Any]):
    class Picky(AbstractCapability[Any]):
        async def after_model_request(self, ctx: Any, *, request_context: Any, response: ModelResponse) -> Any:
            if response.text == "bad":
                raise ModelRetry("Say something good")
            return response

    model, _ = scripted(*answers)
    result = await Agent(model, tools=[add], capabilities=[Picky()]).run("go")
    assert result.output == "good"
    kinds = [[part.part_kind for part in message.parts] for message in result.all_messages()]
    assert kinds[2] == ["retry-prompt"] and len(kinds) == 4
    model, _ = scripted("bad", "bad")
    with pytest.raises(UnexpectedModelBehavior, match="output retries"):
        await Agent(model, capabilities=[Picky()]).run("go")


async def test_an_error_of_the_model_may_be_answered():
    class Calm(AbstractCapability[Any]):
        async def on_model_request_error(self, ctx: Any, *, request_context: Any, error: Exception) -> ModelResponse:
            return ModelResponse([TextPart(f"sorry: {error}")])

    model, _ = scripted(ConnectionError("lost"))
    assert (await Agent(model, capabilities=[Calm()]).run("go")).output == "sorry: lost"
    model, _ = scripted(ConnectionError("lost"))
    with pytest.raises(ConnectionError):
        await Agent(model, capabilities=[AbstractCapability()]).run("go")


async def test_a_run_may_be_answered_without_the_model_or_in_spite_of_an_error():
    class Short(AbstractCapability[Any]):
        async def wrap_run(self, ctx: RunContext[Any], *, handler: Any) -> AgentRunResult[Any]:
            return AgentRunResult("short")

    class Calm(AbstractCapability[Any]):
        async def on_run_error(self, ctx: RunContext[Any], *, error: BaseException) -> AgentRunResult[Any]:
            return AgentRunResult(f"sorry: {error}")

    model, script = scripted()
    assert (await Agent(model, capabilities=[Short()]).run("go")).output == "short"
    assert script.requests == []
    model, _ = scripted(ConnectionError("lost"))
    assert (await Agent(model, capabilities=[Calm()]).run("go")).output == "sorry: lost"


class ToolHooks(AbstractCapability[Any]):
    """Changes arguments and results, knows one answer, and calms one error."""

    async def before_tool_execute(self, ctx: RunContext[Any], *, call: Any, tool_def: Any, args: Any) -> Any:
        assert call.tool_call_id == ctx.tool_call_id and tool_def.name == call.tool_name
        if args["a"] == 100:
            raise SkipToolExecution("known")
        return {"a": args["a"] * 10}

    async def on_tool_execute_error(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, error: Exception) -> Any:
        return f"calmed {type(error).__name__}"

    async def after_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, result: Any) -> Any:
        return f"{args['a']}: {result}"


@pytest.mark.parametrize("recorded", [False, True])
async def test_hooks_around_tools_change_arguments_results_and_errors(recorded: bool):
    class Recording(Steps):
        records = recorded

    def fail(a: int) -> int:
        raise KeyError("x")

    def refuse(a: int) -> int:
        raise ModelRetry("not that")

    calls = [call("add", {"a": 1}), call("fail", {"a": 2}), call("refuse", {"a": 3}), call("add", {"a": 100}, "skip")]
    model, script = scripted(calls, "done")
    with use_steps(Recording()):
        result = await Agent(model, tools=[add, fail, refuse], capabilities=[ToolHooks()]).run("go")
    assert returned(result) == ["10: 11", "20: calmed KeyError", "100: known"]
    assert [part.part_kind for part in script.last_request.parts].count("retry-prompt") == 1


async def test_history_is_processed_before_each_request_and_kept_that_way():
    def newest(messages: list[ModelMessage]) -> list[ModelMessage]:
        return messages[-1:]

    async def same(ctx: RunContext[None], messages: list[ModelMessage]) -> list[ModelMessage]:
        assert ctx.run_step == 1
        return messages

    model, script = scripted("done")
    agent = Agent(model, capabilities=[ProcessHistory(newest), ProcessHistory(same)])
    history: list[ModelMessage] = [ModelRequest.user_text_prompt("old"), ModelResponse([TextPart("hm")])]
    result = await agent.run("go", message_history=history)
    assert len(script.requests[0]) == 1 and len(result.all_messages()) == 2 == len(result.new_messages())
    assert len(history) == 2


@pytest.mark.parametrize("processed", [[], [ModelResponse([TextPart("hm")])]])
async def test_a_processed_history_must_end_in_a_request(processed: list[ModelMessage]):
    agent = Agent(TestModel(), capabilities=[ProcessHistory(lambda messages: processed)])
    with pytest.raises(UserError, match="end in a request"):
        await agent.run("go")


async def test_definitions_of_tools_and_output_tools_are_prepared():
    class Answer(BaseModel):
        text: str

    def shout(ctx: RunContext[None], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        return [replace(tool_def, description="LOUD") for tool_def in tool_defs]

    model, script = scripted(call("final_result", {"text": "hi"}))
    agent = Agent(
        model,
        output_type=Answer,
        tools=[add],
        capabilities=[PrepareTools(lambda ctx, tool_defs: []), PrepareOutputTools(shout)],
    )
    assert (await agent.run("go")).output == Answer(text="hi")
    assert script.infos[0].function_tools == []
    assert [tool.description for tool in script.infos[0].output_tools] == ["LOUD"]


@pytest.mark.parametrize(
    "capability", [PrepareTools(lambda ctx, defs: None), PrepareOutputTools(lambda ctx, defs: None)]
)
async def test_none_for_prepared_tools_is_deprecated(capability: Any):
    agent: Agent[None, int] = Agent(TestModel(), output_type=int, tools=[add], capabilities=[capability])
    with pytest.raises(DeprecationWarning, match="gave None for the tools"):
        await agent.run("go")


async def test_a_call_that_is_answered_inside_the_run_is_told_once():
    external = ExternalToolset[None]([ToolDefinition(name="outside")])
    model, _ = scripted(call("outside"), "done")
    agent: Agent[None, str] = Agent(
        model,
        toolsets=[external],
        capabilities=[HandleDeferredToolCalls(lambda ctx, requests: requests.build_results(calls={"outside": 1}))],
    )
    async with agent.run_stream_events("go") as events:
        kinds = [event.event_kind async for event in events]
    assert [kind for kind in kinds if kind.startswith("function")] == ["function_tool_call", "function_tool_result"]


async def test_deferred_calls_are_answered_inside_the_run_all_or_some():
    def answer(ctx: RunContext[None], requests: DeferredToolRequests) -> DeferredToolResults:
        decided: dict[str, Any] = {"yes": True, "no": ToolDenied("never")}
        asked = {call.tool_call_id for call in requests.approvals}
        return requests.build_results(approvals={id: answer for id, answer in decided.items() if id in asked})

    def agent_with(*answers: Any) -> Agent[None, str | DeferredToolRequests]:
        model, _ = scripted(*answers)
        agent: Agent[None, str | DeferredToolRequests] = Agent(
            model, output_type=[str, DeferredToolRequests], capabilities=[HandleDeferredToolCalls(answer)]
        )

        @agent.tool_plain(requires_approval=True)
        def delete(a: int) -> str:
            return f"deleted {a}"

        return agent

    result = await agent_with([call("delete", {"a": 1}, "yes"), call("delete", {"a": 2}, "no")], "done").run("go")
    assert result.output == "done" and returned(result) == ["deleted 1", "never"]
    result = await agent_with([call("delete", {"a": 1}, "yes"), call("delete", {"a": 3}, "open")]).run("go")
    assert isinstance(result.output, DeferredToolRequests)
    assert [part.tool_call_id for part in result.output.approvals] == ["open"] and returned(result) == ["deleted 1"]


async def test_system_prompts_are_put_into_a_foreign_history():
    def texts(messages: list[ModelMessage]) -> list[str]:
        return [part.content for message in messages for part in message.parts if isinstance(part, SystemPromptPart)]

    foreign = [ModelRequest.user_text_prompt("old"), ModelResponse([TextPart("hm")])]
    with_prompt = [ModelRequest([SystemPromptPart("theirs")]), ModelResponse([TextPart("hm")])]
    for capability, history, expected in (
        (ReinjectSystemPrompt(), foreign, ["mine"]),
        (ReinjectSystemPrompt(), with_prompt, ["theirs"]),
        (ReinjectSystemPrompt(replace_existing=True), with_prompt, ["mine"]),
    ):
        model, script = scripted("done")
        await Agent(model, system_prompt="mine", capabilities=[capability]).run("go", message_history=history)
        assert texts(script.requests[0]) == expected
    assert texts(with_prompt) == ["theirs"]


async def test_thinking_and_executors_are_capabilities_too():
    def where() -> str:
        return current_thread().name

    model, _ = scripted(call("where"), "done")
    with ThreadPoolExecutor(thread_name_prefix="mine") as executor:
        result = await Agent(model, tools=[where], capabilities=[ThreadExecutor(executor)]).run("go")
    assert returned(result)[0].startswith("mine")
    model, script = scripted("done", profile=ModelProfile(supports_thinking=True))
    await Agent(model, capabilities=[Thinking("high")]).run("go")
    assert script.infos[0].model_request_parameters.thinking == "high"


async def test_hooks_see_streamed_responses():
    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "one "
        yield "two"

    log: list[str] = []
    agent = Agent(FunctionModel(stream_function=stream), capabilities=[Logging("a", log)])
    async with agent.run_stream("go") as result:
        assert [text async for text in result.stream_text(debounce_by=None)] == ["one ", "one two"]
    assert log == ["a before run", "a before request", "a asks", "a asked", "a after request", "a after run"]
