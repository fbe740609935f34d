"""Schemas as the APIs of OpenAI, Google and Anthropic want them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from app.ai.profiles.anthropic import AnthropicJsonSchemaTransformer
from app.ai.profiles.google import GoogleJsonSchemaTransformer
from app.ai.profiles.openai import OpenAIJsonSchemaTransformer


class Leaf(BaseModel):
    """A leaf."""

    size: Annotated[int, Field(ge=3)]


class Tree(BaseModel):
    name: Annotated[str, Field(min_length=2, max_length=9, description="The kind")]
    leaf: Leaf
    fallen: Leaf | None


class Closed(BaseModel, extra="forbid"):
    a: int


class Open(BaseModel):
    a: int


class Defaulted(BaseModel):
    a: int = 3


class Numbers(BaseModel):
    by_name: dict[str, int]


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Pet(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Chain(BaseModel):
    link: Chain | None


def openai(model: type[BaseModel], strict: bool | None) -> tuple[dict[str, Any], bool]:
    transformer = OpenAIJsonSchemaTransformer(model.model_json_schema(), strict=strict)
    return transformer.walk(), transformer.is_strict_compatible


def test_a_strict_schema_closes_its_objects_and_tells_what_openai_does_not_enforce():
    leaf = {
        "type": "object",
        "description": "A leaf.",
        "properties": {"size": {"type": "integer", "minimum": 3}},
        "required": ["size"],
        "additionalProperties": False,
    }
    assert openai(Tree, True) == (
        {
            "$defs": {"Leaf": leaf},
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The kind (minLength=2, maxLength=9)"},
                "leaf": {"$ref": "#/$defs/Leaf"},
                "fallen": {"anyOf": [{"$ref": "#/$defs/Leaf"}, {"type": "null"}]},
            },
            "required": ["name", "leaf", "fallen"],
            "additionalProperties": False,
        },
        True,
    )


def test_strictness_costs_defaults_and_unions_their_name():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    assert openai(Defaulted, True)[0] == {**schema, "required": ["a"]}
    pet = openai(Pet, True)[0]["properties"]["pet"]
    assert pet == {"anyOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}]}


@pytest.mark.parametrize(
    ("model", "compatible"),
    [(Closed, True), (Open, True), (Chain, True), (Defaulted, False), (Numbers, False), (Tree, False), (Pet, False)],
)
def test_a_schema_that_nobody_decided_on_is_strict_if_nothing_is_lost(model: type[BaseModel], compatible: bool):
    schema, told = openai(model, None)
    assert told is compatible
    if compatible:
        assert schema == openai(model, True)[0]


def test_a_schema_that_shall_not_be_strict_only_loses_its_titles():
    schema, told = openai(Tree, False)
    assert told
    assert schema["properties"]["name"] == {
        "type": "string",
        "minLength": 2,
        "maxLength": 9,
        "description": "The kind",
    }
    assert "additionalProperties" not in schema


def test_a_recursive_schema_refers_to_its_root():
    schema, _ = openai(Chain, True)
    assert schema["properties"] == {"link": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}
    assert schema["type"] == "object" and "$ref" not in schema


def test_nothing_stands_beside_a_reference():
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "One"}}, "$defs": {"A": {}}}
    walked = OpenAIJsonSchemaTransformer(schema).walk()
    assert walked["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/A"}], "description": "One"}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"const": "a", "title": "A"}, {"enum": ["a"], "type": "string"}),
        ({"const": 3, "type": "integer"}, {"enum": [3], "type": "integer"}),
        ({"const": True}, {"enum": [True], "type": "boolean"}),
        ({"type": "string", "format": "date"}, {"type": "string", "description": "Format: date"}),
        (
            {"type": "string", "format": "date", "description": "Then", "examples": ["x"]},
            {"type": "string", "description": "Then (format: date)"},
        ),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {"type": "number", "maximum": 1}),
    ],
)
def test_google_is_told_in_its_own_words(schema: dict[str, Any], expected: dict[str, Any]):
    assert GoogleJsonSchemaTransformer(schema).walk() == expected


def test_anthropic_enforces_only_on_demand():
    plain = AnthropicJsonSchemaTransformer(Tree.model_json_schema())
    assert plain.walk()["properties"]["name"]["minLength"] == 2
    assert not plain.is_strict_compatible
    strict = AnthropicJsonSchemaTransformer(Tree.model_json_schema(), strict=True)
    schema = strict.walk()
    assert strict.is_strict_compatible
    assert schema["properties"]["name"] == {
        "type": "string",
        "description": "The kind\n\n{minLength: 2, maxLength: 9}",
    }
    assert schema["additionalProperties"] is schema["$defs"]["Leaf"]["additionalProperties"] is False
