"""What a run can give: types, functions, markers, and what looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, cast

import pytest
from pydantic import BaseModel, Field
from typing_extensions import TypeAliasType, TypedDict

from app.ai import (
    Agent,
    BinaryImage,
    DeferredToolRequests,
    ModelResponse,
    ModelRetry,
    NativeOutput,
    PromptedOutput,
    RetryPromptPart,
    RunContext,
    StructuredDict,
    TextOutput,
    ToolDefinition,
    ToolOutput,
    UnexpectedModelBehavior,
    UserError,
)
from app.ai.output_schema import OutputSchema, output_schema
from app.ai.profiles import ModelProfile
from tests.ai.scripted import Script, call, scripted

NATIVE = ModelProfile(supports_json_schema_output=True)


class City(BaseModel):
    """A city."""

    name: str
    people: int


@dataclass
class Person:
    name: str


class Pair(TypedDict):
    left: int


PersonOrPair = TypeAliasType("PersonOrPair", Person | Pair)


class Colour(Enum):
    RED = "red"


def retry_content(script: Script) -> Any:
    (part,) = script.last_request.parts
    assert isinstance(part, RetryPromptPart)
    return part.content


def tool_names(schema: OutputSchema[Any]) -> list[str]:
    return [definition.name for definition in schema.tool_defs]


# Specifications


def test_modes_follow_from_what_is_asked_for():
    modes = {
        "text": str,
        "auto": City,
        "tool": [str, City],
        "native": NativeOutput(City),
        "prompted": PromptedOutput(City),
        "image": BinaryImage,
    }
    assert {output_schema(spec).mode: spec for spec in modes.values()} == modes  # type: ignore[call-overload]
    assert output_schema(ToolOutput(City)).mode == "tool"


def test_unions_and_sequences_are_flattened_and_named():
    schema = output_schema([City | int, [PersonOrPair]])  # type: ignore[list-item]
    assert tool_names(schema) == [
        "final_result_City",
        "final_result_int",
        "final_result_Person",
        "final_result_Pair",
    ]


def test_names_of_output_tools_do_not_clash():
    def inner() -> type[BaseModel]:
        class City(BaseModel):
            mayor: str

        return City

    assert tool_names(output_schema([City, ToolOutput(int, name="number"), Person]))[1:2] == ["number"]
    assert tool_names(output_schema([City, inner()])) == ["final_result_City", "final_result_City_2"]
    with pytest.raises(UserError, match="Two outputs are named 'x'"):
        output_schema([ToolOutput(City, name="x"), ToolOutput(Person, name="x")])


def test_output_tools_are_described_by_docstring_and_marker():
    one = output_schema(ToolOutput(City, name="city", description="Say which", strict=True))
    assert one.tool_defs == [
        ToolDefinition(
            name="city",
            description="Say which. A city.",
            parameters_json_schema={
                "title": "City",
                "type": "object",
                "properties": {"name": {"type": "string"}, "people": {"type": "integer"}},
                "required": ["name", "people"],
            },
            strict=True,
            kind="output",
        )
    ]
    several = output_schema([City, int])
    assert [definition.description for definition in several.tool_defs] == [
        "A city.",
        "int: Give the final answer and end this run.",
    ]


@pytest.mark.parametrize(
    ("output_type", "sent", "expected"),
    [
        (list[int], [1, "2"], [1, 2]),
        (dict[str, Person], {"a": {"name": "Ann"}}, {"a": Person("Ann")}),
        (Literal["a", "b"], "b", "b"),
        (Colour, "red", Colour.RED),
        (bool, True, True),
        (Annotated[int, Field(gt=3)], 4, 4),
    ],
)
async def test_what_is_no_object_is_wrapped(output_type: Any, sent: Any, expected: Any):
    model, script = scripted(call("final_result", {"response": sent}))
    assert (await Agent(model, output_type=output_type).run("go")).output == expected
    (definition,) = script.infos[0].output_tools
    assert definition.outer_typed_dict_key == "response"
    assert list(definition.parameters_json_schema["properties"]) == ["response"]


@pytest.mark.parametrize(
    ("output_type", "sent", "expected"),
    [
        (City, {"name": "Rome", "people": 3}, City(name="Rome", people=3)),
        (Person, {"name": "Ann"}, Person("Ann")),
        (Pair, {"left": 1}, {"left": 1}),
    ],
)
async def test_what_is_an_object_is_not_wrapped(output_type: Any, sent: Any, expected: Any):
    model, script = scripted(call("final_result", sent))
    assert (await Agent(model, output_type=output_type).run("go")).output == expected
    assert script.infos[0].output_tools[0].outer_typed_dict_key is None


@pytest.mark.parametrize(
    "args",
    [
        '{"response": "[1, 2]"}',
        '```json\n{"response": [1, 2]}\n```',
        'Sure:\n```\n{"response": [1,2]}\n```\nYours.',
        '```json{"response": [1, 2]}```',
        '```json\n{"response": [1, 2]}',
        '```json\n{"response": [1, 2], "note": "see ```code```"}\n```',
    ],
)
async def test_json_strings_and_fences_are_accepted(args: str):
    model, _ = scripted(call("final_result", args))
    assert (await Agent(model, output_type=list[int]).run("go")).output == [1, 2]


async def test_none_beside_a_type_is_a_tool_of_its_own():
    model, script = scripted(call("final_result_NoneType", {"response": None}))
    agent = Agent(model, output_type=City | None)  # type: ignore[arg-type]
    assert (await agent.run("go")).output is None
    assert [definition.name for definition in script.infos[0].output_tools] == [
        "final_result_City",
        "final_result_NoneType",
    ]


class Unknown:
    """Nothing that pydantic knows."""


def takes_number(data: int) -> int:
    return data


def takes_nothing(ctx: RunContext[Any]) -> None:
    """Only looks around."""


def takes_two(first: str, second: str) -> str:
    return first + second


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (None, "None cannot be the only output"),
        (DeferredToolRequests, "DeferredToolRequests cannot be the only output"),
        ([str, TextOutput(str.upper)], "only one text output"),
        ([NativeOutput(City), Person], "NativeOutput must be the only structured output"),
        (PromptedOutput(cast("Any", [City, None])), r"beside PromptedOutput\(...\), not inside"),
        ([], "There is no output type"),
        (NativeOutput([]), r"NativeOutput\(...\) needs at least one type"),
        (TextOutput(cast("Any", takes_number)), r"TextOutput\(takes_number\) .* a function of one `str`"),
        (TextOutput(cast("Any", takes_nothing)), r"TextOutput\(takes_nothing\) "),
        (TextOutput(cast("Any", takes_two)), r"TextOutput\(takes_two\) "),
        (Unknown, "The output type Unknown cannot be described"),
        (
            NativeOutput([cast("Any", ToolOutput(City))]),
            r"NativeOutput\(...\) takes types and functions, not ToolOutput",
        ),
        (
            ToolOutput(cast("Any", TextOutput(str.upper))),
            r"ToolOutput\(...\) takes types and functions, not TextOutput",
        ),
    ],
)
def test_what_cannot_go_together_is_refused(spec: Any, message: str):
    with pytest.raises(UserError, match=message):
        output_schema(spec)


# Functions


async def test_an_output_function_makes_the_output_of_its_arguments():
    async def greet(ctx: RunContext[str], name: str) -> str:
        """Greet somebody."""
        if name == "nobody":
            raise ModelRetry("somebody, please")
        return f"{ctx.deps} {name}"

    model, script = scripted(call("final_result", {"name": "nobody"}, "1"), call("final_result", {"name": "Ann"}, "2"))
    agent = Agent(model, deps_type=str, output_type=greet)
    assert (await agent.run("go", deps="Hello")).output == "Hello Ann"
    assert retry_content(script) == "somebody, please"
    assert script.infos[0].output_tools[0].description == "Greet somebody."


async def test_output_functions_may_take_only_the_context_and_return_none():
    seen: list[int] = []

    def finish(ctx: RunContext) -> None:
        seen.append(ctx.run_step)

    model, _ = scripted(call("final_result", {}))
    assert (await Agent(model, output_type=finish).run("go")).output is None
    assert seen == [1]


async def test_a_bound_method_is_an_output_function():
    class Desk:
        def book(self, city: City) -> str:
            return f"booked {city.name}"

    model, _ = scripted(call("final_result", {"name": "Rome", "people": 3}))
    assert (await Agent(model, output_type=Desk().book).run("go")).output == "booked Rome"


async def test_a_text_function_gets_the_whole_text():
    def shout(ctx: RunContext[int], text: str) -> str:
        if text == "no":
            raise ModelRetry("say yes")
        return text.upper() * ctx.deps

    model, script = scripted("no", "yes")
    agent = Agent(model, deps_type=int, output_type=TextOutput(shout))
    assert (await agent.run("go", deps=2)).output == "YESYES"
    assert retry_content(script) == "say yes"
    model, _ = scripted("quiet")
    assert (await Agent(model, output_type=TextOutput(str.split)).run("go")).output == ["quiet"]
    model, _ = scripted("5")
    assert (await Agent(model, output_type=TextOutput(int)).run("go")).output == 5


# JSON as text


async def test_native_output_is_read_from_the_text():
    model, script = scripted("not json", '{"name": "Rome", "people": 3}', profile=NATIVE)
    agent = Agent(model, output_type=NativeOutput(City, name="city", strict=True))
    assert (await agent.run("go")).output == City(name="Rome", people=3)
    parameters = script.infos[0].model_request_parameters
    assert parameters.output_object is not None and parameters.output_tools == []
    assert (parameters.output_object.name, parameters.output_object.strict) == ("city", True)
    assert retry_content(script)[0]["type"] == "json_invalid"


async def test_one_of_several_native_outputs_is_chosen_by_its_kind():
    model, script = scripted(
        '{"result": {"kind": "Town", "data": {}}}',
        '{"result": {"kind": "Person", "data": {"name": "Ann"}}}',
        profile=NATIVE,
    )
    agent = Agent(model, output_type=NativeOutput([City, Person]))
    assert (await agent.run("go")).output == Person("Ann")
    assert retry_content(script)[0]["loc"] == ("result", "kind")
    output = script.infos[0].model_request_parameters.output_object
    assert output is not None
    kinds = [choice["properties"]["kind"]["const"] for choice in output.json_schema["properties"]["result"]["anyOf"]]
    assert kinds == ["City", "Person"]


async def test_prompted_output_asks_by_instructions():
    model, script = scripted('Here:\n```json\n{"name": "Rome", "people": 3}\n```')
    agent = Agent(model, instructions="Be brief.", output_type=PromptedOutput(City, template="JSON like {schema}!"))
    assert (await agent.run("go")).output == City(name="Rome", people=3)
    assert "JSON like" in (script.infos[0].model_request_parameters.prompted_output_instructions or "")


async def test_native_output_may_ask_by_instructions_too():
    model, script = scripted('{"name": "Rome", "people": 3}', profile=NATIVE)
    await Agent(model, output_type=NativeOutput(City, template="JSON like {schema}!")).run("go")
    assert (script.infos[0].instructions or "").startswith("JSON like {")
    needs_it = ModelProfile(supports_json_schema_output=True, native_output_requires_schema_in_instructions=True)
    model, script = scripted('{"name": "Rome", "people": 3}', profile=needs_it)
    await Agent(model, output_type=NativeOutput(City)).run("go")
    assert '"City"' in (script.infos[0].instructions or "")


async def test_auto_follows_the_profile_of_the_model():
    by_text = ModelProfile(supports_json_schema_output=True, default_structured_output_mode="native")
    model, script = scripted('{"name": "Rome", "people": 3}', profile=by_text)
    assert (await Agent(model, output_type=City).run("go")).output == City(name="Rome", people=3)
    assert script.infos[0].output_tools == []
    model, script = scripted("no json", '{"response": [1]}', profile=by_text)
    assert (await Agent(model, output_type=list[int]).run("go")).output == [1]


async def test_native_output_needs_a_model_that_can():
    model, _ = scripted("{}", profile=ModelProfile())
    with pytest.raises(UserError, match="does not support native structured output"):
        await Agent(model, output_type=NativeOutput(City)).run("go")


# Dicts with a schema


async def test_a_structured_dict_shows_its_schema_and_takes_any_object():
    schema = {
        "type": "object",
        "properties": {"age": {"$ref": "#/$defs/age"}, "tags": {"type": "array", "items": [{"$ref": "#/$defs/age"}]}},
        "$defs": {"age": {"type": "integer"}},
    }
    animal = StructuredDict(schema, name="Animal", description="A pet")
    model, script = scripted(call("final_result", {"age": "old"}))
    assert (await Agent(model, output_type=animal).run("go")).output == {"age": "old"}
    (definition,) = script.infos[0].output_tools
    assert definition.parameters_json_schema == {
        "title": "Animal",
        "type": "object",
        "properties": {"age": {"type": "integer"}, "tags": {"type": "array", "items": [{"type": "integer"}]}},
    }
    assert definition.description == "A pet"
    assert "$defs" in schema


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array"}, "`type: object`"),
        ({"type": "object", "properties": {"x": {"$ref": "#/$defs/y"}}}, "which it does not define"),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"b": {"$ref": "#/$defs/a"}}}}},
            "refers to itself",
        ),
    ],
)
def test_schemas_that_no_model_can_follow_are_refused(schema: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        StructuredDict(schema)


# Validators


async def test_output_validators_run_in_order_and_may_change_or_refuse():
    seen: list[tuple[str, int, int, bool]] = []
    model, script = scripted("bad", "good")
    agent = Agent(model)

    @agent.output_validator
    def refuse(ctx: RunContext, text: str) -> str:
        seen.append((text, ctx.retry, ctx.max_retries, ctx.partial_output))
        if text == "bad":
            raise ModelRetry("better, please")
        return text

    @agent.output_validator
    async def shout(text: str) -> str:
        return text.upper()

    assert (await agent.run("go")).output == "GOOD"
    assert seen == [("bad", 0, 1, False), ("good", 1, 1, False)]
    assert retry_content(script) == "better, please"


async def test_output_validators_see_tool_outputs_and_none_too():
    model, _ = scripted(call("final_result", {"name": "Rome", "people": 3}))
    agent = Agent(model, output_type=City)
    agent.output_validator(lambda city: city.model_copy(update={"people": city.people + 1}))
    assert (await agent.run("go")).output == City(name="Rome", people=4)

    model, _ = scripted(ModelResponse([]), ModelResponse([]))
    nothing = Agent(model, output_type=str | None)  # type: ignore[arg-type]

    @nothing.output_validator
    def refuse(value: Any) -> Any:
        raise ModelRetry("something, please")

    with pytest.raises(UnexpectedModelBehavior, match="within 1 output retries"):
        await nothing.run("go")


async def test_a_run_may_have_an_output_type_of_its_own_unless_there_are_validators():
    model, _ = scripted(call("final_result", {"response": 3}))
    agent = Agent(model)
    result = await agent.run("go", output_type=int)
    assert result.output == 3
    agent.output_validator(lambda text: text)
    with pytest.raises(UserError, match="output validators"):
        await agent.run("go", output_type=int)


async def test_the_validation_context_reaches_arguments_and_outputs():
    from pydantic import ValidationInfo, field_validator

    class Scaled(BaseModel):
        x: int

        @field_validator("x")
        @classmethod
        def scale(cls, value: int, info: ValidationInfo) -> int:
            return value * (info.context or 1)

    def take(value: Scaled) -> int:
        return value.x

    model, script = scripted(call("take", {"x": 2}), call("final_result", {"x": 3}))
    agent = Agent(model, deps_type=int, output_type=Scaled, tools=[take], validation_context=lambda ctx: ctx.deps)
    result = await agent.run("go", deps=10)
    assert result.output.x == 30
    assert [part.content for part in script.last_request.parts] == [20]
