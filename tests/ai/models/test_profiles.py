"""A profile rewrites the schemas that a model is given."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from app.ai import Agent, NativeOutput
from app.ai.models.test import TestModel
from app.ai.profiles import InlineDefsJsonSchemaTransformer, JsonSchemaTransformer, ModelProfile


class Leaf(BaseModel):
    """A leaf."""

    size: int | None = None


class Tree(BaseModel):
    leaf: Leaf
    more: dict[str, Leaf]


class Chain(BaseModel):
    link: Chain | None = None


def test_definitions_are_put_in_place_of_references():
    schema = Tree.model_json_schema()
    walked = InlineDefsJsonSchemaTransformer(schema).walk()
    leaf = Leaf.model_json_schema()
    assert walked["properties"]["leaf"] == leaf
    assert walked["properties"]["more"]["additionalProperties"] == leaf
    assert "$defs" not in walked
    assert schema == Tree.model_json_schema()


def test_recursive_definitions_stay_references():
    walked = InlineDefsJsonSchemaTransformer({"type": "array", "items": {"$ref": "#/$defs/C"}, **_chain()}).walk()
    chain = {"type": "object", "properties": {"link": {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]}}}
    assert walked == {"type": "array", "items": chain, "$defs": {"C": chain}}


def _chain() -> dict[str, Any]:
    link = {"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]}
    return {"$defs": {"C": {"type": "object", "properties": {"link": link}}}}


class WithoutTitles(JsonSchemaTransformer):
    def transform(self, schema: dict[str, Any]) -> dict[str, Any]:
        schema.pop("title", None)
        if "default" in schema:
            self.is_strict_compatible = False
        return schema


def test_unions_with_null_can_be_made_nullable():
    walked = WithoutTitles(Leaf.model_json_schema(), simplify_nullable_unions=True).walk()
    assert walked["properties"]["size"] == {"type": "integer", "nullable": True, "default": None}


@pytest.mark.parametrize(("strict", "told"), [(None, False), (True, True)])
def test_the_schemas_of_tools_go_through_the_profile(strict: bool | None, told: bool):
    model = TestModel(profile=ModelProfile(json_schema_transformer=WithoutTitles))
    agent = Agent(model, output_type=Tree)

    @agent.tool_plain(strict=strict)
    def grow(leaf: Leaf) -> str:
        return "grown"

    agent.run_sync("go")
    assert model.last_model_request_parameters is not None
    [tool] = model.last_model_request_parameters.function_tools
    [output] = model.last_model_request_parameters.output_tools
    assert "title" not in str(tool.parameters_json_schema) + str(output.parameters_json_schema)
    assert tool.strict is told


def test_the_schema_of_native_output_goes_through_the_profile():
    profile = ModelProfile(supports_json_schema_output=True, json_schema_transformer=WithoutTitles)
    model = TestModel(profile=profile, custom_output_text='{"size": 1}')
    assert Agent(model, output_type=NativeOutput(Leaf)).run_sync("go").output == Leaf(size=1)
    assert model.last_model_request_parameters is not None
    output = model.last_model_request_parameters.output_object
    assert output is not None and "title" not in str(output.json_schema)
    assert output.strict is False
