"""Tools that stay hidden until the model has searched for them."""

from typing import Any

import pytest

from app.ai import Agent, FunctionToolset, RunContext, ToolReturnPart, UserError, WrapperToolset
from app.ai.capabilities import NativeTool, ToolSearch
from app.ai.native_tools import ToolSearchTool
from app.ai.toolsets.tool_search import ToolSearchToolset
from tests.ai.scripted import Script, call, scripted


def payment(principal: float) -> float:
    """Calculate the monthly payment of a mortgage."""
    return principal / 100


def forecast(city: str) -> str:
    """Ask for the weather of tomorrow."""
    return f"rain in {city}"


def now() -> str:
    return "noon"


def banker(*answers: Any, **options: Any) -> tuple[Agent[Any, Any], Script]:
    model, script = scripted(*answers)
    hidden = FunctionToolset[Any]([payment, forecast]).defer_loading()
    return Agent(model, tools=[now], toolsets=[hidden], **options), script


def offered(script: Script) -> list[list[str]]:
    """The names of the tools that each request told."""
    return [[tool.name for tool in info.function_tools] for info in script.infos]


def returned(result: Any) -> list[Any]:
    parts = (part for message in result.all_messages() for part in message.parts)
    return [part.content for part in parts if isinstance(part, ToolReturnPart)]


async def test_a_hidden_tool_can_be_called_once_it_was_found():
    agent, script = banker(
        call("payment", {"principal": 100}),
        call("search_tools", {"queries": ["mortgage payment"]}),
        call("payment", {"principal": 100}),
        "done",
        "more",
    )
    result = await agent.run("go")
    hidden, found = ["now", "search_tools"], ["now", "payment", "search_tools"]
    assert offered(script) == [hidden, hidden, found, found]
    tool = {"name": "payment", "description": "Calculate the monthly payment of a mortgage."}
    assert returned(result) == [{"discovered_tools": [tool]}, 1.0]

    await agent.run("go on", message_history=result.all_messages())
    assert offered(script)[-1] == found


async def test_the_search_is_gone_once_everything_was_found():
    agent, script = banker(call("search_tools", {"queries": ["mortgage", "weather"]}), "done")
    await agent.run("go")
    assert offered(script)[-1] == ["now", "payment", "forecast"]


async def test_a_function_may_search_and_finds_at_most_so_many():
    def everything(ctx: RunContext[Any], queries: Any, tools: Any) -> list[str]:
        return ["unknown", *(tool.name for tool in tools)] if queries == ["all"] else []

    search = ToolSearch[Any](everything, max_results=1, tool_description="Look.", parameter_description="What for.")
    agent, script = banker(
        [call("search_tools", {"queries": ["all"]}), call("search_tools", {"queries": ["none"]})],
        "done",
        capabilities=[search],
    )
    found, nothing = returned(await agent.run("go"))
    assert [tool["name"] for tool in found["discovered_tools"]] == ["payment"]
    assert nothing["discovered_tools"] == [] and "No tool fits" in nothing["message"]
    definition = script.infos[0].function_tools[-1]
    assert definition.description == "Look."
    assert definition.parameters_json_schema["properties"]["queries"]["description"] == "What for."


async def test_a_provider_that_searches_is_told_all_tools():
    agent, script = banker("done", capabilities=[NativeTool(ToolSearchTool())])
    await agent.run("go")
    assert {tool.name: tool.defer_loading for tool in script.infos[0].function_tools} == {
        "now": False,
        "payment": True,
        "forecast": True,
    }


async def test_the_name_of_the_search_is_kept_for_it():
    agent, _ = banker("done")
    agent.tool_plain(name="search_tools")(now)
    with pytest.raises(UserError, match="'search_tools' is kept for finding tools"):
        await agent.run("go")


async def test_one_function_can_be_deferred_by_itself():
    model, script = scripted("done")
    agent = Agent(model)
    agent.tool_plain(defer_loading=True)(payment)
    agent.tool_plain(forecast)
    await agent.run("go")
    assert offered(script) == [["forecast", "search_tools"]]


async def test_searches_are_calls_of_a_leaf_that_wrappers_reach():
    inner: list[str | None] = []
    hidden = ToolSearchToolset[Any](FunctionToolset([payment], id="bank").defer_loading())
    hidden.apply(lambda leaf: inner.append(leaf.id))
    assert inner == ["bank", "<tool search>"]

    calls: list[str] = []

    class Recorded(WrapperToolset[Any]):
        async def call_tool(self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: Any) -> Any:
            calls.append(name)
            return await super().call_tool(name, tool_args, ctx, tool)

    model, _ = scripted(call("search_tools", {"queries": ["payment"]}), call("payment", {"principal": 1}), "done")
    await Agent(model, toolsets=[hidden.visit_and_replace(Recorded)]).run("go")
    assert calls == ["search_tools", "payment"]
