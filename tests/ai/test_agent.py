"""Defining agents, running them, overriding what they say."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread, current_thread
from typing import Any, get_args

import pytest

import app.ai
from app.ai import (
    Agent,
    FunctionToolset,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelSettings,
    RunContext,
    RunUsage,
    TextPart,
    Tool,
    ToolDefinition,
    ToolOrOutput,
    UserError,
    UserPromptPart,
    WrapperAgent,
    capture_run_messages,
)
from app.ai.agent.options import OverrideOptions, RunOptions
from app.ai.capabilities import AbstractCapability, Toolset
from app.ai.models import Model
from app.ai.models.test import TestModel
from app.ai.native_tools import AgentNativeTool, CodeExecutionTool, WebSearchTool
from app.ai.steps import Steps, use_steps
from app.ai.tool_manager import ToolManager
from tests.ai.scripted import call, scripted


def test_importing_the_core_loads_no_server_database_or_docstring_parser():
    heavy = ("griffe", "mcp", "fastapi", "sqlalchemy", "dbos")
    code = f"import app.ai, sys; app.ai.Agent; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_run_sync_runs_in_a_loop_of_its_own():
    model, _ = scripted("done", "done")
    agent = Agent(model)
    assert [agent.run_sync("go").output for _ in range(2)] == ["done", "done"]


def test_runs_of_one_thread_share_a_loop_that_ends_with_the_thread():
    loops: list[asyncio.AbstractEventLoop] = []

    async def look() -> None:
        loops.append(asyncio.get_running_loop())

    agent = Agent(TestModel(), tools=[look])

    def run_twice() -> None:
        agent.run_sync("go")
        agent.run_sync("go")

    thread = Thread(target=run_twice)
    thread.start()
    thread.join()
    run_twice()
    assert [loop is loops[2] for loop in loops] == [False, False, True, True]
    assert loops[0] is loops[1]
    assert [loop.is_closed() for loop in loops] == [True, True, False, False]


def test_run_sync_sees_what_is_overridden_since_the_last_run():
    agent = Agent(TestModel())
    agent.run_sync("go")
    with agent.override(model=TestModel(custom_output_text="overridden")):
        assert agent.run_sync("go").output == "overridden"


def test_a_forked_process_runs_on_a_loop_of_its_own():
    code = (
        "import os\nfrom app.ai import Agent\nagent = Agent('test')\nagent.run_sync('go')\n"
        "child = os.fork()\nagent.run_sync('go')\n"
        "if child: os.waitpid(child, 0); agent.run_sync('go')\nprint('done')"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (["done", "done"], "")


def test_run_sync_leaves_the_current_loop_of_the_thread_alone():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        Agent(TestModel()).run_sync("go")
        Agent(TestModel()).run_stream_sync("go").get_output()
        assert asyncio.get_event_loop_policy().get_event_loop() is loop
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def test_run_sync_opens_toolsets_once_and_closes_its_models():
    log: list[str] = []

    class Tools(FunctionToolset[Any]):
        async def __aenter__(self) -> Any:
            log.append("tools")
            return self

    class Counted(TestModel):
        async def __aenter__(self) -> Any:
            log.append("open")
            return self

        async def __aexit__(self, *args: Any) -> None:
            log.append("close")

    agent = Agent(TestModel(), toolsets=[Tools()])
    agent.run_sync("go", model=Counted())
    assert log == ["open", "tools", "close"]
    log.clear()
    agent.model = Counted()
    with agent.run_stream_sync("go") as result:
        result.get_output()
    assert log == ["open", "tools", "close"]


async def test_run_sync_is_refused_where_a_loop_is_running():
    with pytest.raises(UserError, match=r"use `await agent\.run"):
        Agent(TestModel()).run_sync("go")


# Models


async def test_the_model_is_that_of_the_override_then_of_the_run_then_of_the_agent():
    models = {name: scripted(*[name] * 3)[0] for name in ("agent", "run", "override")}
    agent = Agent(models["agent"])
    assert (await agent.run("go")).output == "agent"
    assert (await agent.run("go", model=models["run"])).output == "run"
    with agent.override(model=models["override"]):
        assert (await agent.run("go", model=models["run"])).output == "override"


async def test_a_run_needs_a_model():
    with pytest.raises(UserError, match="The agent has no model"):
        await Agent().run("go")


async def test_a_model_given_by_name_is_resolved_at_once_or_at_the_first_run():
    with pytest.raises(UserError, match="Unknown provider: nobody"):
        Agent("nobody:nothing")
    agent = Agent("test", defer_model_check=True)
    assert agent.model == "test"
    assert (await agent.run("go")).output == "success (no tool calls)"
    assert isinstance(agent.model, Model)


# Settings


async def test_settings_are_merged_layer_by_layer_and_functions_see_the_layers_below():
    seen: list[Any] = []

    def for_agent(ctx: RunContext[Any]) -> ModelSettings:
        seen.append(ctx.model_settings)
        return ModelSettings(temperature=0.5, max_tokens=ctx.run_step)

    model, script = scripted(call("nope"), "done", "done")
    agent = Agent(model, model_settings=for_agent)
    await agent.run("go", model_settings={"temperature": 1.0})
    assert [info.model_settings for info in script.infos] == [
        {"temperature": 1.0, "max_tokens": 1},
        {"temperature": 1.0, "max_tokens": 2},
    ]
    with agent.override(model_settings={"seed": 1}):
        await agent.run("go", model_settings={"temperature": 1.0})
    assert script.infos[-1].model_settings == {"seed": 1}
    assert seen == [None, None]


async def test_settings_of_capabilities_stay_when_those_of_the_agent_are_overridden():
    class Narrow(AbstractCapability[Any]):
        def get_model_settings(self) -> ModelSettings:
            return ModelSettings(top_p=0.1)

    model, script = scripted("done")
    agent = Agent(model, model_settings={"temperature": 0.5}, capabilities=[Narrow()])
    with agent.override(model_settings={"seed": 2}):
        await agent.run("go", model_settings={"temperature": 1.0})
    assert script.infos[0].model_settings == {"seed": 2, "top_p": 0.1}


async def test_settings_that_would_let_no_run_end_are_refused():
    for choice in ("required", ["tool"]):
        with pytest.raises(UserError, match="would let no run end"):
            await Agent(TestModel(), model_settings={"tool_choice": choice}).run("go")  # type: ignore[typeddict-item]
    await Agent(TestModel(), model_settings={"tool_choice": ToolOrOutput(function_tools=[])}).run("go")


# Names


async def test_an_agent_takes_the_name_of_the_variable_that_holds_it():
    first = Agent(TestModel())
    await first.run("go")
    second = Agent(TestModel())
    async with second.iter("go"):
        pass
    third = Agent(TestModel())
    async with third.run_stream_events("go") as events:
        async for _ in events:
            pass
    inner = Agent(TestModel())
    wrapper = WrapperAgent(inner)
    await wrapper.run("go")
    assert [agent.name for agent in (first, second, third, inner)] == ["first", "second", "third", "wrapper"]


def test_run_sync_takes_the_name_too_and_an_expression_has_none():
    fourth = Agent(TestModel())
    fourth.run_sync("go")
    agents = [Agent(TestModel())]
    agents[0].run_sync("go")
    assert (fourth.name, agents[0].name) == ("fourth", None)
    agents[0].run_sync("go", infer_name=False)


async def test_a_given_name_stays_and_can_be_overridden():
    agent = Agent(TestModel(), name="given", description="Does it.")
    await agent.run("go")
    with agent.override(name="other"):
        assert agent.name == "other"
    assert (agent.name, agent.description) == ("given", "Does it.")


# Ids and metadata


async def test_a_conversation_goes_on_unless_told_otherwise():
    agent = Agent(TestModel())
    first = await agent.run("go")
    second = await agent.run("go", message_history=first.all_messages())
    third = await agent.run("go", message_history=first.all_messages(), conversation_id="new")
    fourth = await agent.run("go", message_history=first.all_messages(), conversation_id="mine")
    assert second.conversation_id == first.conversation_id != third.conversation_id
    assert fourth.conversation_id == "mine"
    assert len({first.run_id, second.run_id, first.conversation_id}) == 3


async def test_the_run_id_comes_from_the_steps_if_they_have_one():
    class WithId(Steps):
        run_id = "run-1"

    with use_steps(WithId()):
        result = await Agent(TestModel()).run("go")
    assert result.run_id == "run-1"
    assert (await Agent(TestModel()).run("go")).run_id != "run-1"


async def test_metadata_is_merged_and_evaluated_again_at_the_end():
    agent = Agent(TestModel(), metadata=lambda ctx: {"requests": ctx.usage.requests, "by": "agent"})
    async with agent.iter("go", metadata={"by": "run"}) as run:
        assert run.metadata == {"requests": 0, "by": "run"}
        async for _ in run:
            pass
    assert run.metadata == {"requests": 1, "by": "run"}
    with agent.override(metadata={"only": 1}):
        assert (await agent.run("go", metadata={"by": "run"})).metadata == {"only": 1}
    assert (await Agent(TestModel()).run("go")).metadata is None
    assert (await Agent(TestModel(), metadata=lambda _: {}).run("go")).metadata == {}


# Overrides


async def test_deps_tools_and_retries_can_be_overridden():
    def tell(ctx: RunContext[Any]) -> Any:
        return ctx.deps

    def other() -> str:
        return "other"

    agent = Agent(TestModel(), deps_type=int, tools=[tell])
    assert (await agent.run("go", deps=1)).output == '{"tell":1}'
    with agent.override(deps=2):
        assert (await agent.run("go", deps=1)).output == '{"tell":2}'
        with agent.override(tools=[other]):
            assert (await agent.run("go", deps=1)).output == '{"other":"other"}'
        assert (await agent.run("go", deps=1)).output == '{"tell":2}'
    model, script = scripted(ModelResponse([]), "done")
    with agent.override(model=model, retries=0), pytest.raises(app.ai.UnexpectedModelBehavior):
        await agent.run("go", deps=1, retries=5)
    assert len(script.requests) == 1


async def test_an_override_in_one_task_does_not_leak_into_another():
    agent = Agent(TestModel(custom_output_text="own"))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def overriding() -> str:
        with agent.override(model=TestModel(custom_output_text="overridden")):
            entered.set()
            await leave.wait()
            return (await agent.run("go")).output

    task = asyncio.create_task(overriding())
    await entered.wait()
    assert (await agent.run("go")).output == "own"
    leave.set()
    assert await task == "overridden"


async def test_the_retries_of_tools_cannot_be_changed_for_a_run():
    with pytest.raises(UserError, match="retries of tools cannot be changed"):
        await Agent(TestModel()).run("go", retries={"tools": 3})
    with pytest.raises(UserError, match=r"not \['tool'\]"):
        Agent(TestModel(), retries={"tool": 3})  # type: ignore[typeddict-unknown-key]


async def test_an_unknown_option_of_a_run_is_refused():
    with pytest.raises(TypeError, match="a run has no option 'histroy'"):
        await Agent(TestModel()).run("go", histroy=[])  # type: ignore[call-arg]


def test_everything_that_can_be_overridden_is_an_option_of_a_run_or_of_the_agent():
    assert OverrideOptions.__annotations__.keys() - RunOptions.__annotations__.keys() == {
        "name",
        "native_tools",
        "tools",
    }


# Messages from outside


async def test_captured_messages_are_those_of_the_first_run():
    model, _ = scripted("one", "two")
    agent = Agent(model)
    with capture_run_messages() as messages:
        with capture_run_messages() as same:
            first = await agent.run("a")
        await agent.run("b")
    assert messages is same
    assert messages == first.all_messages()


async def test_captured_messages_survive_an_error_of_the_model():
    model, _ = scripted(RuntimeError("down"))
    with capture_run_messages() as messages, pytest.raises(RuntimeError, match="down"):
        await Agent(model, instructions="Be kind.").run("a")
    (request,) = messages
    assert isinstance(request, ModelRequest) and request.instructions == "Be kind."


async def test_an_agent_in_a_tool_has_a_conversation_of_its_own():
    inner = Agent(TestModel(), name="inner")
    ids: list[str] = []

    async def delegate(ctx: RunContext[Any]) -> str:
        result = await inner.run("help")
        ids.extend([result.run_id, result.conversation_id])
        return result.output

    model, _ = scripted(call("delegate"), "done")
    result = await Agent(model, tools=[delegate]).run("go")
    assert not {result.run_id, result.conversation_id} & set(ids)
    assert {message.run_id for message in result.all_messages()} == {result.run_id}


# Wrappers, threads, lifecycle


async def test_a_wrapper_passes_everything_on():
    model, _ = scripted("done", "other")
    agent = Agent(model, name="inner", description="d", deps_type=int, output_type=str, tools=[lambda_tool])
    wrapper = WrapperAgent(agent)
    assert (wrapper.model, wrapper.name, wrapper.description) == (model, "inner", "d")
    assert (wrapper.deps_type, wrapper.output_type, wrapper.event_stream_handler) == (int, str, None)
    assert list(wrapper.toolsets) == list(agent.toolsets)
    async with wrapper:
        assert (await wrapper.run("go")).output == "done"
    with wrapper.override(model=TestModel(call_tools=[])):
        assert (await wrapper.run("go")).output == "success (no tool calls)"


def lambda_tool() -> str:
    return "called"


async def test_sync_tools_run_on_the_chosen_executor():
    def where() -> str:
        return current_thread().name

    model, script = scripted(call("where"), call("where"), "done")
    agent = Agent(model, tools=[where])
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor, agent.using_thread_executor(executor):
        async with agent.iter("go") as run:
            async for node in run:
                if agent.is_call_tools_node(node):
                    break
            await run.next(node)  # type: ignore[arg-type]
            assert run.next_node.request.parts[0].content.startswith("mine")  # type: ignore[union-attr]
    assert len(script.requests) == 1


async def test_the_agent_opens_and_closes_its_model():
    log: list[str] = []

    class Noting(TestModel):
        async def __aenter__(self) -> Any:
            log.append("enter")
            return self

        async def __aexit__(self, *args: Any) -> None:
            log.append("exit")

    agent = Agent(Noting())
    async with agent:
        async with agent:
            await agent.run("go")
        assert log == ["enter"]
    assert log == ["enter", "exit"]


async def test_a_result_tells_about_its_run():
    model, _ = scripted("done")
    result = await Agent(model).run("go")
    assert result.response.parts == [TextPart("done")]
    assert result.timestamp() == result.response.timestamp
    assert result.usage() == RunUsage(requests=1, input_tokens=51, output_tokens=1)
    assert repr(result) == "AgentRunResult(output='done')"
    async with Agent(TestModel()).iter("go") as run:
        assert run.usage().requests == 0 and run.all_messages() == [] == run.new_messages()
        assert run.all_messages_json() == b"[]"
        assert run.run_id in repr(run)


async def test_two_runs_of_one_agent_at_once_do_not_mix():
    async def echo(text: str) -> str:
        await asyncio.sleep(0)
        return text

    agent = Agent(TestModel(), tools=[echo])
    prompts = [str(number) for number in range(5)]
    results = await asyncio.gather(*(agent.run(prompt) for prompt in prompts))
    for prompt, result in zip(prompts, results, strict=True):
        (part,) = result.all_messages()[0].parts
        assert isinstance(part, UserPromptPart) and part.content == prompt


async def test_toolsets_of_the_agent_include_its_own_functions():
    agent = Agent(TestModel(), tools=[lambda_tool])
    (own,) = agent.toolsets
    assert own.id == "<agent>"
    assert repr(agent).startswith("Agent(model=TestModel")


async def test_tools_are_listed_in_the_order_of_where_they_come_from():
    def named(name: str) -> FunctionToolset[Any]:
        return FunctionToolset([Tool(lambda: None, name=name)])

    model, script = scripted("done", "done")
    agent = Agent(model, tools=[Tool(lambda: None, name="own")], toolsets=[named("user")])
    agent.toolset(lambda ctx: named("dynamic"))
    await agent.run("go", toolsets=[named("run")], capabilities=[Toolset(named("capability"))])
    with pytest.raises(UserError, match="`toolsets` takes"), agent.override(toolsets=5):  # type: ignore[arg-type]
        pass
    with agent.override(toolsets=[named("instead")]):
        await agent.run("go", toolsets=[named("run")], capabilities=[Toolset(named("capability"))])
    assert [[tool.name for tool in info.function_tools] for info in script.infos] == [
        ["own", "user", "dynamic", "capability", "run"],
        ["own", "instead"],
    ]


def test_the_end_strategies_are_the_published_ones():
    from app.ai.agent import EndStrategy

    assert get_args(EndStrategy) == ("early", "graceful", "exhaustive")


def test_a_context_shows_what_is_set():
    plain = RunContext(deps=1, model=TestModel(), usage=RunUsage())
    assert repr(plain) == "RunContext(deps=1, model=TestModel(model_name='test'), usage=RunUsage())"


# Native tools


async def test_native_tools_come_from_capabilities_and_functions_and_can_be_overridden():
    class Search(AbstractCapability[Any]):
        def get_native_tools(self) -> list[AgentNativeTool[Any]]:
            return [WebSearchTool(max_uses=1), lambda ctx: CodeExecutionTool() if ctx.deps else None]

    model, script = scripted(*["done"] * 4)
    agent = Agent(model, deps_type=bool, capabilities=[Search()])
    await agent.run("go", deps=True)
    await agent.run("go", deps=False)
    more: AbstractCapability[Any] = Search()
    more.get_native_tools = lambda: [WebSearchTool(max_uses=2)]  # type: ignore[method-assign]
    await agent.run("go", deps=False, capabilities=[more])
    with agent.override(native_tools=[WebSearchTool(max_uses=3)]):
        await agent.run("go", deps=True)
    assert [info.model_request_parameters.native_tools for info in script.infos] == [
        [WebSearchTool(max_uses=1), CodeExecutionTool()],
        [WebSearchTool(max_uses=1)],
        [WebSearchTool(max_uses=2)],
        [WebSearchTool(max_uses=3)],
    ]


# Options with newer forms


async def test_old_options_still_work_and_name_their_newer_forms():
    def shout(messages: list[ModelMessage]) -> list[ModelMessage]:
        return [*messages[:-1], ModelRequest([UserPromptPart("GO")])]

    def hide(ctx: RunContext[None], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        return []

    def tool() -> None: ...

    extra = FunctionToolset[Any]([Tool(tool, name="extra")])
    model, script = scripted(call("final_result", {}), call("final_result", {}), call("final_result", {"response": 1}))
    with pytest.warns(DeprecationWarning) as warned:
        agent = Agent(
            model,
            output_type=int,
            tools=[tool],
            output_retries=2,
            builtin_tools=[WebSearchTool()],
            history_processors=[shout],
            prepare_tools=hide,
            mcp_servers=[extra],
        )
    assert [str(warning.message).split(", use ")[0] for warning in warned] == [
        f"`{name}` is deprecated"
        for name in ("output_retries", "builtin_tools", "history_processors", "prepare_tools", "mcp_servers")
    ]
    assert (await agent.run("go")).output == 1
    assert script.infos[0].function_tools == []
    assert script.infos[0].model_request_parameters.native_tools == [WebSearchTool()]
    assert script.requests[0][0].parts[0].content == "GO"  # type: ignore[union-attr]
    assert extra in agent.toolsets
    with (
        pytest.warns(DeprecationWarning, match="use `native_tools`"),
        agent.override(builtin_tools=[]),  # type: ignore[call-arg]
    ):
        pass


def test_what_an_agent_cannot_be_is_refused_at_once():
    with pytest.raises(UserError, match="has no option 'usage_limits'"):
        Agent("test", usage_limits=None)  # type: ignore[call-arg]
    with pytest.raises(UserError, match="`end_strategy` is one of 'early', 'graceful', 'exhaustive', not 'late'"):
        Agent("test", end_strategy="late")  # type: ignore[arg-type]
    agent = Agent("test")
    with pytest.raises(UserError, match="has no option 'usage_limits'"), agent.override(usage_limits=None):  # type: ignore[call-arg]
        pass
    with pytest.raises(UserError, match="retries of tools cannot"), agent.override(retries={"tools": 3}):
        pass


@pytest.mark.parametrize(
    "options",
    [
        {"tools": 5},
        {"tools": [5]},
        {"tools": "search"},
        {"toolsets": 5},
        {"toolsets": [5]},
        {"capabilities": 5},
        {"capabilities": [5]},
        {"system_prompt": 5},
        {"system_prompt": [5]},
        {"deps_type": 5},
        {"name": 5},
        {"output_type": 5},
        {"output_type": ["str"]},
        {"instructions": [5]},
        {"retries": "many"},
        {"retries": {"tools": -1}},
        {"model_settings": 5},
        {"metadata": 5},
        {"tool_timeout": -1},
        {"tool_timeout": "long"},
        {"max_concurrency": "many"},
    ],
    ids=str,
)
def test_an_option_that_does_not_fit_is_named(options: dict[str, Any]):
    with pytest.raises(UserError, match=f"`{next(iter(options))}` takes"):
        Agent("test", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"user_prompt": 5},
        {"user_prompt": b"go"},
        {"user_prompt": {"text": "go"}},
        {"user_prompt": ["go", None]},
        {"conversation_id": 5},
        {"message_history": 5},
        {"toolsets": 5},
        {"toolsets": [5]},
        {"capabilities": 5},
        {"capabilities": [5]},
        {"output_type": 5},
        {"instructions": 5},
        {"retries": "many"},
        {"model_settings": 5},
        {"metadata": 5},
        {"usage_limits": 5},
        {"usage": 5},
        {"message_history": ["hello"]},
    ],
    ids=str,
)
async def test_an_option_of_a_run_that_does_not_fit_is_named(options: dict[str, Any]):
    others = {name: given for name, given in options.items() if name != "user_prompt"}
    with pytest.raises(UserError, match=f"`{next(iter(options))}` takes"):
        await Agent("test").run(options.get("user_prompt", "go"), **others)


def test_tool_calls_can_be_made_one_after_another_by_the_old_name():
    with pytest.warns(DeprecationWarning, match="parallel_tool_call_execution_mode"):
        mode = Agent.sequential_tool_calls()
    with mode:
        assert ToolManager(toolset=FunctionToolset(), default_max_retries=1).must_run_sequentially([])


async def test_mcp_servers_are_given_the_sampling_model():
    class Sampling(FunctionToolset[Any]):
        sampling_model: Model | None = None

    server, model = Sampling(), TestModel()
    agent = Agent("test", toolsets=[server.prefixed("a"), FunctionToolset()])
    agent.set_mcp_sampling_model(model)
    assert server.sampling_model is model
    with pytest.warns(DeprecationWarning, match="async with agent"):
        running = agent.run_mcp_servers()
    async with running:
        assert server.sampling_model is agent.model
    with pytest.raises(UserError, match="There is no sampling model"):
        Agent(toolsets=[server]).set_mcp_sampling_model()


async def test_instructions_may_be_decorated_with_and_without_a_call():
    agent = Agent(TestModel())

    @agent.instructions
    def kind() -> str:
        return "Be kind."

    @agent.instructions()
    async def short(ctx: RunContext[None]) -> str:
        return f"Be short at {ctx.run_step}."

    first = (await agent.run("go")).all_messages()[0]
    assert isinstance(first, ModelRequest) and first.instructions == "Be kind.\n\nBe short at 1."
    assert kind() == "Be kind." and short.__name__ == "short"
