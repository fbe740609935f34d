"""Agents as data: YAML, JSON and dicts that become agents."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest

from app.ai import Agent, AgentSpec, TemplateStr
from app.ai.capabilities import (
    CAPABILITY_TYPES,
    MCP,
    AbstractCapability,
    Instrumentation,
    NativeTool,
    ProcessHistory,
    SetToolMetadata,
    Thinking,
    Toolset,
)
from app.ai.exceptions import UserError
from app.ai.messages import ModelRequest
from app.ai.models.test import TestModel
from app.ai.native_tools import CodeExecutionTool, WebSearchTool
from app.ai.toolsets import FunctionToolset
from tests.ai.scripted import scripted

WEATHER = """
model: test
name: weather
description: Weather for {{name}}
instructions:
  - Be brief.
  - The user is {{name}}.
model_settings:
  temperature: 0.5
  max_tokens: 10
retries:
  tools: 3
end_strategy: graceful
tool_timeout: 2.5
metadata:
  team: sky
"""

CITY = {"type": "object", "title": "City", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@dataclass
class User:
    name: str


def instructions_of(result: Any) -> str | None:
    request = result.all_messages()[0]
    assert isinstance(request, ModelRequest)
    return request.instructions


async def test_an_agent_is_what_its_spec_says(tmp_path: Path) -> None:
    path = tmp_path / "weather.yaml"
    path.write_text(WEATHER)
    agent = Agent.from_file(path, deps_type=User)
    assert agent.name == "weather"
    assert agent.description == "Weather for {{name}}"
    assert agent.render_description(User("Ann")) == "Weather for Ann"
    assert agent.model_settings == {"temperature": 0.5, "max_tokens": 10}
    assert (agent.tool_retries, agent.output_retries) == (3, 1)
    assert (agent.end_strategy, agent.tool_timeout, agent.metadata) == ("graceful", 2.5, {"team": "sky"})
    result = await agent.run("hi", deps=User("Ann"))
    assert instructions_of(result) == "Be brief.\n\nThe user is Ann."
    assert result.metadata == {"team": "sky"}


async def test_arguments_win_and_instructions_and_settings_add_up() -> None:
    model, script = scripted("ok")
    agent = Agent.from_spec(
        AgentSpec.from_text(WEATHER),
        deps_type=User,
        model=model,
        name="mine",
        retries=5,
        instructions="And friendly.",
        model_settings={"temperature": 0.9},
        end_strategy="exhaustive",
    )
    assert (agent.name, agent.tool_retries, agent.end_strategy) == ("mine", 5, "exhaustive")
    result = await agent.run("hi", deps=User("Ann"))
    assert instructions_of(result) == "Be brief.\nAnd friendly.\n\nThe user is Ann."
    assert script.infos[0].model_settings == {"temperature": 0.9, "max_tokens": 10}


async def test_an_output_schema_gives_dicts_of_that_form() -> None:
    agent = Agent.from_spec({"model": "test", "output_schema": CITY})
    assert agent.output_json_schema()["properties"] == CITY["properties"]
    assert (await agent.run("hi")).output == {"name": "a"}


async def test_an_output_type_in_code_wins_over_the_schema() -> None:
    agent = Agent.from_spec({"model": "test", "output_schema": CITY}, output_type=int)
    assert (await agent.run("hi")).output == 0


async def test_templates_are_checked_against_the_schema_of_dependencies() -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}}
    agent = Agent.from_spec({"model": "test", "instructions": "For {{name}}.", "deps_schema": schema})
    assert instructions_of(await agent.run("hi", deps={"name": "Bo"})) == "For Bo."
    with pytest.raises(UserError, match="uses 'age'"):
        Agent.from_spec({"model": "test", "instructions": "{{age}}", "deps_schema": schema})
    with pytest.raises(UserError, match="uses 'age'"):
        Agent.from_spec({"model": "test", "description": "{{age}}"}, deps_type=User)


async def test_templates_also_serve_agents_in_code() -> None:
    agent = Agent(TestModel(), deps_type=User, instructions=TemplateStr[User]("For {{name}}.", deps_type=User))
    assert instructions_of(await agent.run("hi", deps=User("Cy"))) == "For Cy."


class Polite(AbstractCapability[Any]):
    """A capability of the application."""

    def __init__(self, word: str = "please", times: int = 1):
        self.text = " ".join([word] * times)

    def get_instructions(self) -> str:
        return self.text


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("Polite", "please"),
        ({"Polite": "kindly"}, "kindly"),
        ({"Polite": {"word": "hey", "times": 2}}, "hey hey"),
        ({"name": "Polite", "arguments": {"times": 3}}, "please please please"),
        ({"name": "Polite"}, "please"),
    ],
)
async def test_a_spec_names_capabilities_with_their_arguments(entry: Any, text: str) -> None:
    agent = Agent.from_spec({"model": "test", "capabilities": [entry]}, custom_capability_types=[Polite])
    assert instructions_of(await agent.run("hi")) == text


async def test_capabilities_of_spec_and_arguments_add_up() -> None:
    agent = Agent.from_spec(
        {"model": "test", "capabilities": ["Polite"]},
        custom_capability_types=[Polite],
        capabilities=[Polite("and thanks")],
    )
    assert instructions_of(await agent.run("hi")) == "please\nand thanks"


async def test_built_in_capabilities_need_no_registration() -> None:
    agent = Agent.from_spec(
        {"model": "test", "capabilities": [{"Thinking": "high"}, {"SetToolMetadata": {"team": "sky"}}]}
    )
    assert agent.root_capability.capabilities == [Thinking("high"), SetToolMetadata(team="sky")]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("Plite", "no capability 'Plite'.*there are Capability, ImageGeneration, .*Polite, .*Thinking"),
        ({"Polite": {"volume": 1}}, "'Polite' of the agent spec does not take.*volume"),
        ({"Polite": 1, "Thinking": 2}, "a name or `{name: arguments}`"),
    ],
)
def test_a_wrong_capability_is_named(entry: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Agent.from_spec({"model": "test", "capabilities": [entry]}, custom_capability_types=[Polite])


@pytest.mark.parametrize("suffix", ["yaml", "yml", "json"])
@pytest.mark.parametrize("schema_path", [None, "./{stem}_schema.json"])
def test_a_spec_written_to_a_file_is_read_back_equal(tmp_path: Path, suffix: str, schema_path: str | None) -> None:
    spec = AgentSpec.from_text(WEATHER)
    path = tmp_path / f"weather.{suffix}"
    spec.to_file(path, schema_path=schema_path)
    read = AgentSpec.from_file(path)
    assert read.model_copy(update={"json_schema_path": None}) == spec
    assert (tmp_path / "weather_schema.json").exists() == (schema_path is not None)


def test_editors_find_the_schema_of_a_file(tmp_path: Path) -> None:
    AgentSpec(model="test").to_file(tmp_path / "a.yaml")
    AgentSpec(model="test").to_file(tmp_path / "b.json")
    first = (tmp_path / "a.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./a_schema.json"
    assert json.loads((tmp_path / "b.json").read_text())["$schema"] == "./b_schema.json"
    schema = json.loads((tmp_path / "a_schema.json").read_text())
    assert {"$schema", "model", "instructions", "output_schema"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"modle": "test"}, "has no field 'modle'; fields: .*model"),
        ({"model": 1}, "wrong at 'model'"),
        ({"model": "test", "end_strategy": "late"}, "wrong at 'end_strategy'.*'early', 'graceful' or 'exhaustive'"),
        ({"name": "no model"}, "has no `model`"),
    ],
)
def test_a_wrong_spec_is_refused_by_field(data: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Agent.from_spec(data)


@pytest.mark.parametrize(
    ("text", "fmt", "message"),
    [("- model", "yaml", "must be an object"), ("a: b: c", "yaml", "is not YAML"), ("{", "json", "is not JSON")],
)
def test_a_text_that_is_no_spec_is_refused(text: str, fmt: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        AgentSpec.from_text(text, fmt)


def test_the_suffix_tells_the_format_unless_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "agent.txt"
    path.write_text('{"model": "test"}')
    with pytest.raises(ValueError, match=r"agent\.txt.*give `fmt`"):
        AgentSpec.from_file(path)
    assert AgentSpec.from_file(path, "json") == AgentSpec(model="test")


def test_old_retry_fields_still_count_and_are_told_of() -> None:
    with pytest.warns(DeprecationWarning, match="retries"):
        agent = Agent.from_spec({"model": "test", "tool_retries": 4})
    assert (agent.tool_retries, agent.output_retries) == (4, 1)


def test_the_old_field_for_instrumentation_still_counts_and_is_told_of() -> None:
    with pytest.warns(DeprecationWarning, match="Instrumentation"):
        assert Agent.from_spec({"model": "test", "instrument": True}).instrument is True
    assert AgentSpec().instrument is AgentSpec().tool_retries is None
    assert AgentSpec.model_json_schema()["properties"]["instrument"]["deprecated"] is True


# Specs of runs and overrides

EXTRA = {"instructions": "Hi {{name}}", "model_settings": {"temperature": 0.1, "seed": 1}, "metadata": {"a": 1, "b": 1}}


async def test_the_spec_of_a_run_adds_to_the_agent_and_stands_below_the_arguments() -> None:
    model, script = scripted("done")
    agent = Agent(model, deps_type=User, instructions="First.", metadata={"team": "sky", "a": 0})
    result = await agent.run(
        "go",
        deps=User("Ann"),
        spec={**EXTRA, "capabilities": [{"Thinking": "high"}, {"SetToolMetadata": {"x": 1}}]},
        instructions="Last.",
        model_settings={"temperature": 0.9},
        metadata={"b": 2},
    )
    assert script.infos[0].instructions == "First.\nLast.\n\nHi Ann"
    assert script.infos[0].model_settings == {"temperature": 0.9, "seed": 1}
    assert result.metadata == {"team": "sky", "a": 1, "b": 2}


async def test_the_model_of_a_run_s_spec_counts_if_the_run_is_given_none() -> None:
    assert (await Agent().run("go", spec={"model": "test"})).output == "success (no tool calls)"
    model, _ = scripted("given")
    assert (await Agent().run("go", spec={"model": "test"}, model=model)).output == "given"


async def test_what_a_spec_cannot_change_for_a_run_is_told_and_ignored() -> None:
    for spec in ({"retries": 3}, AgentSpec(end_strategy="exhaustive")):
        with pytest.warns(UserWarning, match="given to `run` cannot change (retries|end_strategy)"):
            await Agent("test").run("go", spec=spec)
        with pytest.warns(UserWarning, match="given to `override`"), Agent("test").override(spec=spec):
            pass


async def test_the_spec_of_an_override_says_what_is_not_overridden_beside_it() -> None:
    model, script = scripted("done", "done")
    agent = Agent("test", deps_type=User, instructions="First.", capabilities=[Polite()])
    with agent.override(spec={"name": "other", **EXTRA, "capabilities": [{"Thinking": "low"}]}, model=model):
        assert agent.name == "other" and agent.root_capability.capabilities == [Thinking("low")]
        result = await agent.run("go", deps=User("Ann"), instructions="Last.")
    assert script.infos[0].instructions == "Hi Ann" and result.metadata == {"a": 1, "b": 1}
    with agent.override(spec={"instructions": "no"}, instructions="Only this.", model=model):
        assert isinstance(agent.root_capability.capabilities[0], Polite)
        await agent.run("go", deps=User("Ann"))
    assert script.infos[1].instructions == "Only this."


async def test_capabilities_of_an_override_bring_their_toolsets() -> None:
    model, script = scripted("done")
    agent = Agent(model, capabilities=[Toolset(FunctionToolset([len]))])
    with agent.override(spec={"capabilities": [{"Thinking": True}]}):
        await agent.run("go")
    assert script.infos[0].function_tools == []


# Capabilities


async def test_capabilities_stand_inside_others_and_take_templates() -> None:
    @dataclass
    class Greeting(AbstractCapability[Any]):
        text: TemplateStr[Any] | str

        def get_instructions(self) -> Any:
            return self.text

        def get_toolset(self) -> FunctionToolset[Any]:
            return FunctionToolset([len])

    entry = {"PrefixTools": {"prefix": "my", "capability": {"Greeting": "Hi {{name}}"}}}
    model, script = scripted("done")
    agent = Agent.from_spec({"capabilities": [entry]}, model=model, deps_type=User, custom_capability_types=[Greeting])
    result = await agent.run("go", deps=User("Ann"))
    assert instructions_of(result) == "Hi Ann" and [tool.name for tool in script.infos[0].function_tools] == ["my_len"]
    with pytest.raises(UserError, match="uses 'nobody'"):
        Agent.from_spec(
            {"model": "test", "capabilities": [{"Greeting": "Hi {{nobody}}"}]},
            deps_type=User,
            custom_capability_types=[Greeting],
        )


def test_native_tools_and_servers_are_written_down() -> None:
    entries: list[Any] = [
        {"NativeTool": {"kind": "web_search", "search_context_size": "high"}},
        {"NativeTool": {"tool": {"kind": "code_execution"}}},
        {"WebSearch": {"max_uses": 3}},
        {"MCP": "https://mcp.example.org/tools"},
        {"Instrumentation": {"version": 3}},
    ]
    agent = Agent.from_spec({"model": "test", "capabilities": entries})
    search, code, web, server, told = agent.root_capability.capabilities
    assert search == NativeTool(WebSearchTool(search_context_size="high")) and code == NativeTool(CodeExecutionTool())
    assert list(web.get_native_tools()) == [WebSearchTool(max_uses=3)] and web.get_toolset() is None
    assert isinstance(server, MCP) and server.server_id == "mcp.example.org-tools"
    assert isinstance(told, Instrumentation) and told.settings is not None and told.settings.version == 3
    with pytest.raises(UserError, match="has a `kind`"):
        Agent.from_spec({"model": "test", "capabilities": [{"NativeTool": {"kind": "magic"}}]})


def test_a_capability_without_a_name_cannot_stand_in_specs() -> None:
    with pytest.raises(ValueError, match="ProcessHistory cannot stand in agent specs"):
        Agent.from_spec({"model": "test"}, custom_capability_types=[ProcessHistory])


def test_the_schema_for_editors_knows_the_arguments_of_capabilities() -> None:
    validator = jsonschema.Draft202012Validator(AgentSpec.model_json_schema_with_capabilities([Polite]))
    good: list[Any] = [
        "Polite",
        {"Polite": "hey"},
        {"Polite": {"times": 2}},
        {"name": "Polite", "arguments": ["hey"]},
        {"PrefixTools": {"prefix": "a", "capability": {"MCP": "https://example.org"}}},
        {"ImageGeneration": {"size": "1K", "native": {"kind": "image_generation", "quality": "low"}}},
        {"WebSearch": {"user_location": {"city": "Oslo"}, "local": False}},
        {"XSearch": {"allowed_x_handles": ["a"]}},
        {"ToolSearch": "regex"},
        {"MCPServers": {"time": {"command": "time"}}},
        {"NativeTool": {"kind": "code_execution"}},
        {"SetToolMetadata": {"tools": ["a"], "level": 3}},
    ]
    validator.validate({"model": "test", "capabilities": good})
    bad: list[Any] = [
        "PrefixTools",
        "Plite",
        {"Polite": {"times": "twice"}},
        {"Polite": 1, "Thinking": 2},
        {"PrefixTools": {"prefix": "a", "capability": "Plite"}},
        {"ImageGeneration": {"size": "tiny"}},
        {"ImageGeneration": {"colour": "red"}},
        {"WebSearch": {"user_location": {"city": 1}}},
        {"name": "Plite"},
    ]
    assert not [entry for entry in bad if validator.is_valid({"capabilities": [entry]})]


def test_a_native_tool_of_a_capability_may_be_written_down() -> None:
    agent = Agent.from_spec({"model": "test", "capabilities": [{"WebSearch": {"native": {"kind": "web_search"}}}]})
    assert [list(item.get_native_tools()) for item in agent.root_capability.capabilities] == [[WebSearchTool()]]
    with pytest.raises(UserError, match="native tool of WebSearch is a 'web_search', not 'memory'"):
        Agent.from_spec({"model": "test", "capabilities": [{"WebSearch": {"native": {"kind": "memory"}}}]})


def test_a_capability_tells_the_names_that_it_stands_for() -> None:
    entry = {"PrefixTools": {"prefix": "a", "capability": {"PrefixTools": {"prefix": "b", "capability": "MCP"}}}}
    [capability] = AgentSpec.from_dict({"capabilities": [entry]}).capabilities
    assert capability.names == ["PrefixTools", "PrefixTools", "MCP"]


@dataclass
class Both(AbstractCapability[Any]):
    first: AbstractCapability[Any]
    others: list[AbstractCapability[Any]]


def test_capabilities_may_be_arguments_of_others() -> None:
    entry = {"Both": {"first": {"Thinking": "low"}, "others": ["Thinking", {"Thinking": "high"}]}}
    spec = {"model": "test", "capabilities": [entry]}
    agent = Agent.from_spec(spec, custom_capability_types=[Both])
    assert agent.root_capability.capabilities == [Both(Thinking("low"), [Thinking(), Thinking("high")])]
    validator = jsonschema.Draft202012Validator(AgentSpec.model_json_schema_with_capabilities([Both]))
    assert validator.is_valid(spec)
    assert not validator.is_valid({"capabilities": [{"Both": {"first": "Thinking", "others": ["Plite"]}}]})
    with pytest.raises(UserError, match="no capability 'Plite'"):
        Agent.from_spec(
            {"model": "test", "capabilities": [{"Both": {"first": "Plite"}}]}, custom_capability_types=[Both]
        )


def test_a_native_tool_is_deferred_from_outside_and_has_no_unknown_options() -> None:
    entry = {"NativeTool": {"tool": {"kind": "code_execution"}, "id": "code", "defer_loading": True}}
    agent = Agent.from_spec({"model": "test", "capabilities": [entry]})
    assert agent.root_capability.capabilities == [NativeTool(CodeExecutionTool(), id="code", defer_loading=True)]
    with pytest.raises(UserError, match="'web_search' has no option 'max_use'"):
        Agent.from_spec({"model": "test", "capabilities": [{"NativeTool": {"kind": "web_search", "max_use": 1}}]})


def test_the_long_form_of_a_capability_lists_its_arguments() -> None:
    agent = Agent.from_spec({"model": "test", "capabilities": [{"name": "Thinking", "arguments": ["low"]}]})
    assert agent.root_capability.capabilities == [Thinking("low")]


def test_custom_capability_types_are_capability_types() -> None:
    with pytest.raises(UserError, match="holds capability classes, not <class 'int'>"):
        Agent.from_spec({"model": "test"}, custom_capability_types=cast("Any", [int]))


def test_the_registry_tells_what_specs_may_name() -> None:
    assert CAPABILITY_TYPES["Thinking"] is Thinking
    assert not {"Hooks", "ProcessHistory", "CombinedCapability"} & CAPABILITY_TYPES.keys()


def test_a_spec_tells_its_capabilities_by_name_and_arguments() -> None:
    entries: list[Any] = ["WebSearch", {"Thinking": "high"}, {"SetToolMetadata": {"x": 1}}]
    spec = AgentSpec.from_dict({"capabilities": entries})
    assert [(entry.name, entry.args, entry.kwargs) for entry in spec.capabilities] == [
        ("WebSearch", (), {}),
        ("Thinking", ("high",), {}),
        ("SetToolMetadata", (), {"x": 1}),
    ]
    assert spec.model_dump(mode="json", exclude_defaults=True) == {"capabilities": entries}
