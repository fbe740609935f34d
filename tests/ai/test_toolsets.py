"""Toolsets and what wraps them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.ai import (
    AbstractToolset,
    Agent,
    ApprovalRequiredToolset,
    CombinedToolset,
    DeferredToolRequests,
    DynamicToolset,
    ExternalToolset,
    FunctionToolset,
    ModelRequest,
    RunContext,
    RunUsage,
    ToolDefinition,
    ToolReturnPart,
    UserError,
    WrapperToolset,
)
from app.ai.capabilities import IncludeToolReturnSchemas, SetToolMetadata
from app.ai.models.test import TestModel
from tests.ai.scripted import call, scripted


def context(**changes: Any) -> RunContext[Any]:
    return replace(RunContext[Any](deps=None, model=TestModel(), usage=RunUsage()), **changes)


def weather() -> FunctionToolset[Any]:
    toolset = FunctionToolset[Any](id="weather", metadata={"area": "sky"})

    @toolset.tool
    def forecast(ctx: RunContext[Any], city: str) -> str:
        return f"{ctx.tool_name}: sun in {city}"

    @toolset.tool_plain(metadata={"unit": "C"})
    def temperature(city: str) -> int:
        return 20

    return toolset


async def call_tool(toolset: AbstractToolset[Any], name: str, args: dict[str, Any]) -> Any:
    tools = await toolset.get_tools(context())
    return await toolset.call_tool(name, args, context(tool_name=name), tools[name])


class Counting(WrapperToolset[Any]):
    """Counts how often it is entered and left."""

    def __init__(self, wrapped: AbstractToolset[Any], fails: bool = False):
        super().__init__(wrapped)
        self.log: list[str] = []
        self.fails = fails

    async def __aenter__(self) -> Any:
        if self.fails:
            raise ConnectionError("cannot open")
        self.log.append("enter")
        return await super().__aenter__()

    async def __aexit__(self, *args: Any) -> bool | None:
        self.log.append("exit")
        return await super().__aexit__(*args)


class Instructed(WrapperToolset[Any]):
    async def get_instructions(self, ctx: RunContext[Any]) -> str:
        return "By hand."


async def test_a_function_toolset_lists_and_calls_its_functions():
    toolset = weather()
    tools = await toolset.get_tools(context(max_retries=4))
    assert list(tools) == ["forecast", "temperature"]
    assert tools["forecast"].max_retries == 4
    assert tools["temperature"].tool_def.metadata == {"area": "sky", "unit": "C"}
    assert await call_tool(toolset, "forecast", {"city": "Rome"}) == "forecast: sun in Rome"
    assert (toolset.id, toolset.label) == ("weather", "FunctionToolset 'weather'")


async def test_retries_come_from_the_tool_then_the_toolset_then_the_run():
    toolset = FunctionToolset[Any](max_retries=3)
    toolset.add_function(lambda: 1, name="own", retries=7)
    toolset.add_function(lambda: 1, name="inherited")
    tools = await toolset.get_tools(context(max_retries=1))
    assert [tools[name].max_retries for name in ("own", "inherited")] == [7, 3]


async def test_a_function_may_be_added_by_position_and_nothing_said_leaves_the_toolsets_options():
    toolset = FunctionToolset[Any](strict=True, sequential=True, defer_loading=True, include_return_schema=True)
    toolset.add_function(lambda ctx, x: x, True, "same", "Give it back.", strict=None)
    definition = (await toolset.get_tools(context()))["same"].tool_def
    assert definition.description == "Give it back."
    assert definition.strict and definition.sequential and definition.defer_loading
    assert definition.include_return_schema
    assert await call_tool(toolset, "same", {"x": 3}) == 3


async def test_idempotent_is_known_to_the_toolset_and_not_part_of_the_definition():
    toolset = FunctionToolset[Any]()
    toolset.add_function(lambda: 1, name="read", idempotent=True)
    toolset.add_function(lambda: 1, name="write")
    tools = await CombinedToolset([toolset.prefixed("db")]).get_tools(context())
    assert [(tool.tool_def.name, tool.idempotent) for tool in tools.values()] == [
        ("db_read", True),
        ("db_write", False),
    ]


def test_an_unknown_option_of_a_toolset_is_refused_before_there_is_a_tool():
    with pytest.raises(TypeError, match="has no option 'retries'"):
        FunctionToolset[Any](retries=2)  # type: ignore[call-arg]


def test_a_name_can_be_used_only_once_in_a_toolset():
    toolset = weather()
    with pytest.raises(UserError, match="already is a tool named 'forecast' in FunctionToolset 'weather'"):
        toolset.add_function(lambda: 1, name="forecast")


async def test_instructions_of_a_toolset_are_sent_with_each_request():
    toolset = FunctionToolset[Any](instructions=["Be brief.", lambda ctx: f"Step {ctx.run_step}."])

    @toolset.instructions
    async def nothing() -> None:
        return None

    @toolset.instructions()
    def last() -> str:
        return "Stop there."

    model, script = scripted("done")
    by_hand = Instructed(FunctionToolset())
    await Agent(model, instructions=["Be kind.", lambda: "Be quick."], toolsets=[by_hand, toolset]).run("go")
    assert (
        script.last_request.instructions == "Be kind.\n\nBe brief.\n\nBe quick.\n\nBy hand.\n\nStep 1.\n\nStop there."
    )


async def test_combined_toolsets_call_the_toolset_that_a_tool_came_from():
    other = FunctionToolset[Any]()
    other.add_function(lambda city: f"map of {city}", name="map")
    combined = CombinedToolset([weather(), other])
    assert await call_tool(combined, "map", {"city": "Rome"}) == "map of Rome"
    assert await call_tool(combined, "temperature", {"city": "Rome"}) == 20


async def test_a_name_in_two_toolsets_is_refused_with_both_named():
    with pytest.raises(
        UserError, match=r"FunctionToolset 'weather' has a tool named 'forecast', and so has Function.*prefix"
    ):
        await CombinedToolset([weather(), weather()]).get_tools(context())
    with pytest.raises(UserError, match="Change the `prefix`"):
        await CombinedToolset([weather().prefixed("a"), weather().prefixed("a")]).get_tools(context())


async def test_stacked_wrappers_reach_the_function_under_its_own_name():
    toolset = (
        weather()
        .prefixed("sky")
        .renamed({"look_up": "sky_forecast"})
        .filtered(lambda ctx, tool_def: tool_def.name == "look_up")
    )
    tools = await toolset.get_tools(context())
    assert list(tools) == ["look_up"]
    assert tools["look_up"].tool_def.metadata == {"area": "sky"}
    assert await call_tool(toolset, "look_up", {"city": "Rome"}) == "forecast: sun in Rome"
    assert toolset.id is None
    assert toolset.label == "FilteredToolset(RenamedToolset(PrefixedToolset(FunctionToolset 'weather')))"


async def test_renaming_two_tools_to_one_name_is_refused():
    with pytest.raises(UserError, match="two tools named 'temperature'"):
        await weather().renamed({"temperature": "forecast"}).get_tools(context())


async def test_a_filter_may_be_async_and_sees_the_context():
    async def only_for_admins(ctx: RunContext[Any], tool_def: ToolDefinition) -> bool:
        return ctx.deps == "admin"

    toolset = weather().filtered(only_for_admins)
    assert await toolset.get_tools(context()) == {}
    assert len(await toolset.get_tools(context(deps="admin"))) == 2


async def test_prepared_toolsets_may_change_and_drop_but_not_add():
    async def strict_forecast(ctx: RunContext[Any], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        return [replace(tool_def, strict=True) for tool_def in tool_defs if tool_def.name == "forecast"]

    tools = await weather().prepared(strict_forecast).get_tools(context())
    assert [(name, tool.tool_def.strict) for name, tool in tools.items()] == [("forecast", True)]
    assert await weather().prepared(lambda ctx, tool_defs: None).get_tools(context()) == {}
    with pytest.raises(UserError, match=r"tools that it was not given: \['new'\]"):
        await weather().prepared(lambda ctx, tool_defs: [ToolDefinition(name="new")]).get_tools(context())


async def test_apply_and_visit_and_replace_reach_every_leaf():
    one, two = weather(), ExternalToolset([ToolDefinition(name="x")], id="outside")
    combined = CombinedToolset([one.prefixed("a").filtered(lambda ctx, tool_def: True), two])
    leaves: list[AbstractToolset[Any]] = []
    combined.apply(leaves.append)
    assert leaves == [one, two]
    replaced = combined.visit_and_replace(lambda leaf: Counting(leaf) if leaf is one else leaf)
    assert list(await replaced.get_tools(context())) == ["a_forecast", "a_temperature", "x"]
    assert replaced.label.count("Counting") == 1 and combined.label.count("Counting") == 0


class Named(WrapperToolset[Any]):
    def __init__(self, name: str, wrapped: AbstractToolset[Any]):
        super().__init__(wrapped)
        self.name = name


async def test_wrappers_with_a_constructor_of_their_own_can_be_put_around_something_else():
    wrapper = Named("mine", weather())
    other = wrapper.visit_and_replace(lambda leaf: leaf.prefixed("new"))
    assert isinstance(other, Named)
    assert (other.name, list(await other.get_tools(context()))) == ("mine", ["new_forecast", "new_temperature"])
    model, script = scripted("done")
    await Agent(model, toolsets=[Named("mine", DynamicToolset(lambda ctx: weather()))]).run("go")
    assert [tool.name for tool in script.infos[0].function_tools] == ["forecast", "temperature"]


async def test_external_tools_cannot_be_called():
    toolset = ExternalToolset([ToolDefinition(name="ask_customer")])
    tools = await toolset.get_tools(context())
    assert tools["ask_customer"].tool_def.kind == "external"
    with pytest.raises(NotImplementedError, match="answered outside"):
        await toolset.call_tool("ask_customer", {}, context(), tools["ask_customer"])


async def test_calls_that_need_approval_are_made_only_with_it():
    toolset = weather().approval_required(lambda ctx, tool_def, args: args["city"] == "Rome")
    model, _ = scripted(
        [call("temperature", {"city": "Oslo"}, "1"), call("temperature", {"city": "Rome"}, "2")], "done"
    )
    agent = Agent(model, toolsets=[toolset], output_type=[str, DeferredToolRequests])
    result = await agent.run("go")
    assert isinstance(result.output, DeferredToolRequests)
    assert [part.tool_call_id for part in result.output.approvals] == ["2"]
    resumed = await agent.run(
        message_history=result.all_messages(), deferred_tool_results=result.output.build_results(approve_all=True)
    )
    assert resumed.output == "done"
    assert isinstance(weather().approval_required(), ApprovalRequiredToolset)


async def test_a_run_opens_its_toolsets_and_the_agent_keeps_them_open():
    counting = Counting(weather())
    agent = Agent(TestModel(call_tools=[]), toolsets=[counting])
    await agent.run("go")
    assert counting.log == ["enter", "exit"]
    async with agent, agent:
        await agent.run("go")
    assert counting.log == ["enter", "exit", "enter", "enter", "exit", "exit"]


async def test_toolsets_that_opened_are_closed_when_a_later_one_does_not():
    good, bad = Counting(weather()), Counting(FunctionToolset(), fails=True)
    with pytest.raises(ConnectionError):
        await Agent(TestModel(), toolsets=[good, bad]).run("go")
    assert (good.log, bad.log) == (["enter", "exit"], [])


async def test_a_dynamic_toolset_is_chosen_for_each_step_and_changed_cleanly():
    first, second = Counting(weather()), Counting(weather().prefixed("new"))
    model, script = scripted(call("temperature", {"city": "Rome"}), "done")
    agent = Agent(model)

    @agent.toolset
    def choose(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        return first if ctx.run_step == 1 else second

    await agent.run("go")
    offered = [[tool.name for tool in info.function_tools] for info in script.infos]
    assert offered == [["forecast", "temperature"], ["new_forecast", "new_temperature"]]
    assert first.log == second.log == ["enter", "exit"]


async def test_a_dynamic_toolset_may_be_chosen_once_or_be_none():
    asked: list[int] = []
    model, _script = scripted(call("temperature", {"city": "Rome"}), "done", "done")
    agent = Agent(model)

    @agent.toolset(per_run_step=False, id="dynamic")
    async def choose(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        asked.append(ctx.run_step)
        return weather()

    @agent.toolset
    def none(ctx: RunContext[Any]) -> None:
        return None

    await agent.run("go")
    assert asked == [1]
    assert [toolset.id for toolset in agent.toolsets] == ["<agent>", "dynamic", None]


async def test_a_dynamic_toolset_has_an_id_and_chooses_when_it_is_first_asked():
    toolset = DynamicToolset[Any](lambda ctx: weather(), id="chosen")
    assert toolset.id == "chosen"
    async with toolset:
        assert list(await toolset.get_tools(context())) == ["forecast", "temperature"]


async def test_a_dynamic_toolset_that_cannot_open_is_not_closed():
    bad = Counting(weather(), fails=True)
    with pytest.raises(ConnectionError):
        await Agent(TestModel(), toolsets=[lambda ctx: bad]).run("go")
    assert bad.log == []


async def test_a_chosen_toolset_learns_of_the_run_and_of_each_step():
    steps: list[int] = []

    def choose(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        steps.append(ctx.run_step)
        return weather()

    model, _ = scripted(call("temperature", {"city": "Rome"}), "done")
    outer = DynamicToolset[Any](lambda ctx: DynamicToolset[Any](choose), per_run_step=False)
    await Agent(model, toolsets=[outer]).run("go")
    assert steps == [1, 2]


async def test_a_function_that_only_passes_on_an_async_one_may_choose_too():
    async def choose(ctx: RunContext[Any]) -> AbstractToolset[Any]:
        return weather()

    model, script = scripted("done")
    await Agent(model, toolsets=[lambda ctx: choose(ctx)]).run("go")
    assert [tool.name for tool in script.infos[0].function_tools] == ["forecast", "temperature"]


async def test_a_dynamic_toolset_must_choose_a_toolset():
    with pytest.raises(UserError, match="the function must return a toolset or None"):
        await Agent(TestModel(), toolsets=[lambda ctx: "weather"]).run("go")  # type: ignore[list-item,return-value]


async def test_two_runs_at_once_do_not_share_what_was_chosen():
    toolset = DynamicToolset[Any](lambda ctx: weather() if ctx.deps else None)
    one, other = await toolset.for_run(context()), await toolset.for_run(context())
    await one.for_run_step(context(deps=True))
    await other.for_run_step(context(deps=False))
    assert (len(await one.get_tools(context())), len(await other.get_tools(context()))) == (2, 0)


async def test_toolsets_of_a_run_come_on_top_of_the_agents():
    model, script = scripted("done", "done")
    agent = Agent(model, tools=[lambda_tool])
    await agent.run("go", toolsets=[weather()])
    with agent.override(toolsets=[ExternalToolset([ToolDefinition(name="outside")])]):
        await agent.run("go", toolsets=[weather()])
    offered = [[tool.name for tool in info.function_tools] for info in script.infos]
    assert offered == [["lambda_tool", "forecast", "temperature"], ["lambda_tool", "outside"]]


def lambda_tool() -> str:
    return "called"


async def test_a_tool_named_like_an_output_tool_is_refused():
    def final_result() -> None: ...

    with pytest.raises(UserError, match="named 'final_result', and so has the agent's output tools"):
        await Agent(TestModel(), tools=[final_result], output_type=int).run("go")


async def test_what_a_tool_returned_is_in_the_history():
    model, script = scripted(call("forecast", {"city": "Rome"}), "done")
    await Agent(model, toolsets=[weather()]).run("go")
    (message,) = [message for message in script.requests[1][2:] if isinstance(message, ModelRequest)]
    (part,) = message.parts
    assert isinstance(part, ToolReturnPart) and part.content == "forecast: sun in Rome"


def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


def count(text: str) -> int:
    """Count the letters."""
    return len(text)


async def offered(agent: Agent[None, str]) -> dict[str, ToolDefinition]:
    """The definitions that a run of the agent offers."""
    model = TestModel(call_tools=[])
    await agent.run("go", model=model)
    assert model.last_model_request_parameters is not None
    return {tool.name: tool for tool in model.last_model_request_parameters.function_tools}


async def test_metadata_is_added_to_that_of_the_tools():
    toolset = FunctionToolset([shout], metadata={"a": 1, "b": 1}).with_metadata(b=2, c=3)
    tools = await offered(Agent(toolsets=[toolset.prefixed("x")]))
    assert tools["x_shout"].metadata == {"a": 1, "b": 2, "c": 3}


async def test_the_model_is_told_what_tools_return_unless_they_say_no():
    toolset = FunctionToolset[None]([shout])
    toolset.add_function(count, include_return_schema=False)
    tools = await offered(Agent(toolsets=[toolset.include_return_schemas()]))
    assert tools["shout"].return_schema == {"type": "string"}
    assert "Returns:" in (tools["shout"].description or "") and "Returns:" not in (tools["count"].description or "")


@pytest.mark.parametrize(
    "selector",
    [["count"], {"size": [1]}, {"by": {"unit": "g"}}, lambda ctx, tool_def: tool_def.name == "count"],
    ids=["names", "data", "nested", "func"],
)
async def test_capabilities_choose_tools_by_name_metadata_or_function(selector: Any):
    toolset = FunctionToolset[None]([shout])
    metadata = {"size": [1], "by": {"unit": "g", "step": 1}}
    toolset.add_function(count, metadata=metadata)
    capabilities = [SetToolMetadata[None](tools=selector, chosen=True), IncludeToolReturnSchemas[None](selector)]
    tools = await offered(Agent(toolsets=[toolset], capabilities=capabilities))
    assert (
        tools["count"].metadata == {"size": [1], "by": {"unit": "g", "step": 1}, "chosen": True}
        and tools["shout"].metadata is None
    )
    assert tools["count"].include_return_schema and not tools["shout"].include_return_schema
