"""The JSON schemas that a model is shown for its output, and that of the output itself."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from app.ai import (
    Agent,
    BinaryImage,
    DeferredToolRequests,
    NativeOutput,
    PromptedOutput,
    StructuredDict,
    TextOutput,
    ToolOutput,
)
from app.ai.output import OutputObjectDefinition
from app.ai.output_schema import output_schema
from tests.ai.scripted import scripted


class City(BaseModel):
    """A city."""

    name: str
    people: int = 0


def choice(kind: str, data: dict[str, Any], **about: str) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"kind": {"type": "string", "const": kind}, "data": {"type": "object", **data}},
        "required": ["kind", "data"],
        "additionalProperties": False,
        "title": kind,
        **about,
    }


async def test_each_of_several_outputs_is_a_choice_with_its_title_and_description():
    model, script = scripted('{"result": {"kind": "str", "data": {"response": "hm"}}}')
    assert (await Agent(model, output_type=PromptedOutput([City, str])).run("go")).output == "hm"
    city = {
        "properties": {"name": {"type": "string"}, "people": {"type": "integer", "default": 0}},
        "required": ["name"],
    }
    text = {"properties": {"response": {"type": "string"}}, "required": ["response"]}
    schema = {
        "type": "object",
        "properties": {"result": {"anyOf": [choice("City", city, description="A city."), choice("str", text)]}},
        "required": ["result"],
        "additionalProperties": False,
    }
    assert script.infos[0].model_request_parameters.output_object == OutputObjectDefinition(json_schema=schema)


def test_a_title_names_the_output_and_its_own_description_comes_first():
    class Place(BaseModel):
        """Where it is."""

        model_config = ConfigDict(title="Spot")

    native = output_schema(NativeOutput(Place, description="Say where")).object_definition
    assert native is not None
    assert (native.name, native.description) == ("Spot", "Say where. Where it is.")
    assert [definition.name for definition in output_schema([Place, City]).tool_defs] == [
        "final_result_Spot",
        "final_result_City",
    ]


def test_different_types_of_one_name_are_told_apart_in_native_outputs():
    def inner() -> type[BaseModel]:
        class Part(BaseModel):
            x: int

        class One(BaseModel):
            part: Part

        return One

    def other() -> type[BaseModel]:
        class Part(BaseModel):
            y: str

        class Two(BaseModel):
            part: Part

        return Two

    both = output_schema(NativeOutput([inner(), other()])).object_definition
    assert both is not None
    parts = {name: list(definition["properties"]) for name, definition in both.json_schema["$defs"].items()}
    assert parts == {"Part": ["x"], "Part_2": ["y"]}
    choices = [choice["properties"]["data"] for choice in both.json_schema["properties"]["result"]["anyOf"]]
    assert [choice["properties"]["part"]["$ref"] for choice in choices] == ["#/$defs/Part", "#/$defs/Part_2"]
    again = output_schema(NativeOutput([inner(), inner()])).object_definition
    assert again is not None and [
        choice["properties"]["kind"]["const"] for choice in again.json_schema["properties"]["result"]["anyOf"]
    ] == ["One", "One_2"]


def test_the_json_schema_of_the_output_covers_everything_it_can_be():
    agent = Agent(output_type=[str, int, City, DeferredToolRequests, BinaryImage])
    schema = agent.output_json_schema()
    text, number, city, deferred, image = schema["anyOf"]
    assert (text, number) == ({"type": "string"}, {"type": "integer"})
    assert city == City.model_json_schema()
    assert (deferred["title"], set(deferred["properties"])) == (
        "DeferredToolRequests",
        {"calls", "approvals", "metadata"},
    )
    assert (image["title"], image["required"]) == ("BinaryImage", ["data", "media_type"])
    assert "ToolCallPart" in schema["$defs"]


def as_number(text: str) -> float:
    return float(text)


@pytest.mark.parametrize(
    ("output_type", "schema"),
    [
        (str, {"type": "string"}),
        (str | None, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (TextOutput(as_number), {"type": "number"}),
        (as_number, {"type": "number"}),
        (ToolOutput(as_number, name="number"), {"type": "number"}),
        ([as_number, ToolOutput(float)], {"type": "number"}),
        (NativeOutput([int, str]), {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (StructuredDict({"type": "object"}, name="Thing"), {"type": "object", "title": "Thing"}),
    ],
)
def test_the_json_schema_of_the_output_is_that_of_the_value(output_type: Any, schema: dict[str, Any]):
    assert Agent(output_type=output_type).output_json_schema() == schema
    assert Agent().output_json_schema(output_type) == schema
