"""Capabilities that the model loads when it needs them, and the capability that packs things together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.ai import Agent, FunctionToolset, RunContext, UserError, WrapperToolset
from app.ai.capabilities import (
    MCP,
    AbstractCapability,
    Capability,
    NativeTool,
    PrefixTools,
    Thinking,
    Toolset,
    WrapperCapability,
)
from app.ai.capabilities.on_demand import with_loader
from app.ai.messages import (
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ModelMessagesTypeAdapter,
    RetryPromptPart,
)
from app.ai.models.test import TestModel
from app.ai.native_tools import CodeExecutionTool
from app.ai.profiles import ModelProfile
from app.ai.run_state import AgentModelSettings
from app.ai.template import TemplateStr
from app.ai.toolsets import CombinedToolset
from tests.ai.scripted import Script, call, scripted

LOAD = call("load_capability", {"id": "refunds"})


def refund(amount: float) -> float:
    """Pay money back."""
    return -amount


def refunds(**options: Any) -> Capability[Any]:
    return Capability(
        **{
            "id": "refunds",
            "description": "How money is paid back.",
            "instructions": ["Be kind.", lambda: "Pay at once."],
            "tools": [refund],
            "defer_loading": True,
            **options,
        }
    )


def offered(script: Script) -> list[list[str]]:
    return [[tool.name for tool in info.function_tools] for info in script.infos]


async def test_a_deferred_capability_is_a_line_in_the_instructions_until_it_is_loaded():
    model, script = scripted(LOAD, call("refund", {"amount": 2}), "done", "more")
    agent = Agent[Any, str](model, instructions="Help.", capabilities=[refunds()])
    result = await agent.run("go")
    hidden, loaded = ["load_capability"], ["refund", "load_capability"]
    assert offered(script) == [hidden, loaded, loaded]
    assert {info.instructions for info in script.infos} == {
        "Help.\n\nThese capabilities are loaded with the tool `load_capability` when they are needed:\n"
        "- refunds: How money is paid back."
    }
    _, asked, answered, *_ = result.all_messages()
    assert isinstance(asked.parts[0], LoadCapabilityCallPart)
    [part] = answered.parts
    assert isinstance(part, LoadCapabilityReturnPart)
    assert part.content == {"instructions": "Be kind.\n\nPay at once."}

    history = ModelMessagesTypeAdapter.validate_json(result.all_messages_json())
    await agent.run("go on", message_history=history)
    assert offered(script)[-1] == loaded


async def test_settings_and_native_tools_wait_for_the_loading_too():
    def settings(ctx: RunContext[Any]) -> Any:
        return {"temperature": 0.5}

    ways: list[tuple[AgentModelSettings[Any], Any]] = [
        ({"temperature": 0.5}, CodeExecutionTool()),
        (settings, lambda ctx: CodeExecutionTool()),  # pyright: ignore[reportUnknownLambdaType]
    ]
    for model_settings, tool in ways:
        model, script = scripted(LOAD, "done")
        capability = refunds(model_settings=model_settings, native_tools=[tool], instructions=None)
        result = await Agent(model, capabilities=[capability]).run("go")
        assert [info.model_settings for info in script.infos] == [None, {"temperature": 0.5}]
        native = [info.model_request_parameters.native_tools for info in script.infos]
        assert native == [[], [CodeExecutionTool()]]
        assert "is loaded" in str(result.all_messages()[2].parts[0])


async def test_a_capability_that_does_not_exist_cannot_be_loaded():
    model, script = scripted(call("load_capability", {"id": "magic"}), "done")
    await Agent(model, capabilities=[refunds()]).run("go")
    [part] = script.last_request.parts
    assert isinstance(part, RetryPromptPart) and part.content == "There is no capability 'magic'; there are refunds"
    assert offered(script)[-1] == ["load_capability"]


async def test_the_test_model_loads_what_there_is():
    result = await Agent[Any, str](TestModel(), capabilities=[refunds()]).run("go")
    assert "Be kind." in result.output


async def test_loading_that_was_skipped_for_a_result_does_not_count():
    model, script = scripted([call("final_result", {"response": 1}), LOAD], call("final_result", {"response": 2}))
    agent = Agent[Any, int](model, output_type=int, capabilities=[refunds()])
    history = (await agent.run("go")).all_messages()
    await agent.run("more", message_history=history)
    assert offered(script)[-1] == ["load_capability"]


async def test_every_capability_may_be_deferred():
    class Legal(AbstractCapability[Any]):
        id = "legal"
        description = "Law."
        defer_loading = True

        def get_instructions(self) -> str:
            return "Cite the law."

    @dataclass
    class Sums(AbstractCapability[Any]):
        word: str

        def get_toolset(self) -> FunctionToolset[Any]:
            return FunctionToolset([refund])

    sums = Sums("x", id="sums", defer_loading=True)
    assert sums == Sums("x", id="sums", defer_loading=True) != Sums("x")
    capabilities: list[AbstractCapability[Any]] = [
        Legal(),
        PrefixTools(sums, prefix="my"),
        Thinking("high", id="think", description="Thinks.", defer_loading=True),
        Toolset(FunctionToolset([refund], instructions="Mind the sums."), id="tools", defer_loading=True),
        NativeTool(CodeExecutionTool(), id="code", defer_loading=True),
    ]
    loads = [call("load_capability", {"id": id}, id) for id in ("legal", "sums", "think", "tools", "code")]
    model, script = scripted(loads, "done", profile=ModelProfile(supports_thinking=True))
    await Agent(model, capabilities=capabilities).run("go")
    first, last = script.infos
    assert first.instructions is not None and last.instructions is not None
    assert first.instructions.splitlines()[1:] == ["- legal: Law.", "- sums", "- think: Thinks.", "- tools", "- code"]
    assert offered(script) == [["load_capability"], ["my_refund", "refund", "load_capability"]]
    assert [info.model_request_parameters.thinking for info in (first, last)] == [None, "high"]
    assert last.instructions == "Mind the sums.\n\n" + first.instructions
    assert last.model_request_parameters.native_tools == [CodeExecutionTool()]


def test_a_dataclass_may_have_such_fields_of_its_own_behind_others():
    @dataclass
    class Greeting(AbstractCapability[Any]):
        word: str
        description: str = "Greets."  # pyright: ignore[reportIncompatibleVariableOverride]

    @dataclass
    class Named(AbstractCapability[Any]):
        id: str  # pyright: ignore[reportGeneralTypeIssues]
        number: int = 0

    greeting: Any = Greeting  # type checkers see the order of plain dataclasses
    assert (greeting("hi").description, greeting("hi", description="x").description) == ("Greets.", "x")
    assert (Named("a", 1).id, Named("a", 1).number) == ("a", 1)


async def test_capabilities_of_a_run_and_of_functions_may_be_deferred():
    model, script = scripted("one", "two")
    agent: Agent[Any, str] = Agent(model)
    await agent.run("go", capabilities=[refunds()])
    await agent.run("go", capabilities=[lambda ctx: refunds()])
    assert offered(script) == [["load_capability"], ["load_capability"]]


async def test_the_context_knows_capabilities_by_id_and_which_are_loaded():
    seen: list[tuple[list[str], set[str]]] = []

    def look(ctx: RunContext[Any]) -> str:
        seen.append((list(ctx.capabilities), ctx.loaded_capability_ids))
        return "ok"

    model, _ = scripted(call("look", id="1"), LOAD, call("look", id="2"), "done")
    plain = Capability[Any](id="plain", tools=[look])
    await Agent(model, capabilities=[plain, refunds()]).run("go")
    assert seen == [(["plain", "refunds"], set()), (["plain", "refunds"], {"refunds"})]


def test_deferred_capabilities_have_ids_of_their_own():
    with pytest.raises(UserError, match="Capability has `defer_loading`, so it needs an `id`"):
        Agent("test", capabilities=[refunds(id=None)])
    with pytest.raises(UserError, match="Two capabilities have the id 'refunds'"):
        Agent("test", capabilities=[refunds(), refunds()])


async def test_ids_are_unique_in_a_run():
    with pytest.raises(UserError, match="Two capabilities have the id 'refunds'"):
        await Agent("test", capabilities=[refunds()]).run("go", capabilities=[refunds()])


async def test_the_name_of_the_loading_tool_is_taken():
    agent: Agent[Any, str] = Agent(TestModel(), capabilities=[refunds()])
    agent.tool_plain(name="load_capability")(refund)
    with pytest.raises(UserError, match="load_capability"):
        await agent.run("go")


def test_loading_is_a_call_of_a_leaf_that_wrappers_reach():
    class Recorded(WrapperToolset[Any]):
        pass

    reached: list[str | None] = []
    toolset = with_loader(FunctionToolset[Any]([refund], id="bank"), {"refunds": refunds()})
    toolset.apply(lambda leaf: reached.append(leaf.id))
    assert reached == ["bank", "<capabilities>"]
    replaced = toolset.visit_and_replace(Recorded)
    assert isinstance(replaced, CombinedToolset)
    assert all(isinstance(inner, Recorded) for inner in replaced.toolsets)


async def test_a_capability_packs_up_what_belongs_together():
    pack = Capability[int](
        instructions="One.",
        tools=[refund],
        model_settings={"temperature": 0.1},
        native_tools=[CodeExecutionTool()],
    )

    @pack.instructions
    def two(ctx: RunContext[int]) -> str:
        return f"Two {ctx.deps}."

    @pack.tool
    def add(ctx: RunContext[int], more: int) -> int:
        return ctx.deps + more

    @pack.tool_plain(name="zero")
    def nothing() -> int:
        return 0

    model, script = scripted("done")
    await Agent(model, deps_type=int, capabilities=[pack]).run("go", deps=7)
    [info] = script.infos
    assert info.instructions == "One.\n\nTwo 7."
    assert offered(script) == [["refund", "add", "zero"]]
    assert info.model_settings == {"temperature": 0.1}
    assert info.model_request_parameters.native_tools == [CodeExecutionTool()]


async def test_a_spec_writes_capabilities_down_that_are_loaded_later():
    model, script = scripted(LOAD, "done")
    agent = Agent.from_spec(
        {
            "capabilities": [
                {
                    "Capability": {
                        "id": "refunds",
                        "description": "Pays {{name}} back.",
                        "instructions": ["Be kind.", "Call him {{name}}."],
                        "defer_loading": True,
                        "model_settings": {"temperature": 0},
                    }
                },
                {"Thinking": {"effort": "low", "id": "think", "defer_loading": True}},
            ]
        },
        model=model,
        deps_type=dict[str, str],
    )
    result = await agent.run("go", deps={"name": "Al"})
    instructions = script.infos[0].instructions
    assert instructions is not None and instructions.endswith("- refunds: Pays Al back.\n- think")
    assert [info.model_settings for info in script.infos] == [None, {"temperature": 0}]
    [part] = result.all_messages()[2].parts
    assert isinstance(part, LoadCapabilityReturnPart)
    assert part.content == {"instructions": "Be kind.\n\nCall him Al."}
    with pytest.raises(UserError, match="uses 'nobody'"):
        Agent.from_spec(
            {"model": "test", "capabilities": [{"Capability": {"id": "a", "description": "{{nobody}}"}}]},
            deps_type=_Deps,
        )


@dataclass
class _Deps:
    name: str


def test_a_wrapper_and_mcp_have_the_id_of_what_they_stand_for():
    wrapper: WrapperCapability[Any] = WrapperCapability(refunds(description=TemplateStr("{{name}}")))
    assert (wrapper.id, str(wrapper.description), wrapper.defer_loading) == ("refunds", "{{name}}", True)
    server: MCP[Any] = MCP("https://example.org/mcp", id="docs", description="The manual.")
    [tool] = server.get_native_tools()
    assert (getattr(tool, "id", None), getattr(tool, "description", None)) == ("docs", "The manual.")
