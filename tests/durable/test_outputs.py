"""Outputs that keep to a JSON schema which came over HTTP."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.ai import Agent, NativeOutput, UnexpectedModelBehavior
from app.ai.messages import RetryPromptPart
from app.durable.outputs import checked_dict
from tests.ai.scripted import call, scripted

CITY = {
    "type": "object",
    "title": "City",
    "$defs": {"name": {"type": "string", "pattern": "^[A-Z]"}},
    "properties": {"name": {"$ref": "#/$defs/name"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def problems(schema: dict[str, Any], value: Any) -> list[tuple[tuple[str | int, ...], str]]:
    """Where a value does not fit, and why."""
    adapter: TypeAdapter[Any] = TypeAdapter(checked_dict(schema))
    try:
        assert adapter.validate_python(value) == value
    except ValidationError as error:
        return [(found["loc"], found["msg"]) for found in error.errors()]
    return []


async def test_a_model_that_misses_the_schema_is_told_where_and_tries_again():
    good, bad = {"name": "Rome", "people": 3}, {"name": "rome", "people": -1, "x": 0}
    model, script = scripted(call("final_result", bad), call("final_result", good))
    result = await Agent(model, output_type=checked_dict(CITY)).run("go")
    assert result.output == good
    [retry] = script.last_request.parts
    assert isinstance(retry, RetryPromptPart)
    assert not isinstance(retry.content, str)
    assert [(error["type"], error["loc"], error["input"]) for error in retry.content] == [
        ("json_schema", (), bad),
        ("json_schema", ("name",), "rome"),
        ("json_schema", ("people",), -1),
    ]
    [definition] = script.infos[0].output_tools
    assert definition.parameters_json_schema["title"] == "City"
    assert "$defs" not in definition.parameters_json_schema


async def test_a_model_that_keeps_missing_the_schema_fails_the_run():
    model, _ = scripted("{}", '{"name": 3}')
    with pytest.raises(UnexpectedModelBehavior):
        await Agent(model, output_type=NativeOutput(checked_dict(CITY))).run("go")


def test_of_several_alternatives_the_one_that_was_meant_is_explained():
    shape = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"x": {"type": "integer"}}}]}
    schema = {"type": "object", "properties": {"shape": shape}}
    assert problems(schema, {"shape": {"x": "no"}}) == [(("shape", "x"), "'no' is not of type 'integer'")]


def test_problems_are_few_and_short():
    schema = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 1}}
    found = problems(schema, {str(number): "x" * 1000 for number in range(30)})
    assert len(found) == 20
    assert all(len(message) < 310 and message.endswith("is too long") for _, message in found)


@pytest.mark.timeout(5)
def test_a_pattern_that_backtracks_does_not_stop_the_worker():
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    assert [loc for loc, _ in problems(schema, {"a": "a" * 5000 + "b"})] == [("a",)]
    named = {"type": "object", "patternProperties": {"^(a+)+$": {"type": "integer"}}, "additionalProperties": False}
    assert problems(named, {"a" * 5000 + "b": "x"}) == []
    own = {"$schema": "https://json-schema.org/draft/2020-12/schema", "pattern": "^(a+)+$"}
    assert [loc for loc, _ in problems({"type": "object", "properties": {"a": own}}, {"a": "a" * 5000 + "b"})] == [
        ("a",)
    ]
    unknown = {"type": "object", "properties": {"a": {"type": "string", "pattern": r"(?<=x)y("}}}
    assert problems(unknown, {"a": "z"}) == []


def test_no_reference_is_fetched(monkeypatch: pytest.MonkeyPatch):
    def connect(*_: Any) -> None:
        raise AssertionError("somebody opened a connection")

    monkeypatch.setattr(socket.socket, "connect", connect)
    reference = {"$id": "http://[", "$dynamicRef": "http://127.0.0.1:9/schema"}
    items = {"allOf": [reference], "unevaluatedItems": False}
    assert problems({"type": "object", "properties": {"a": reference, "b": items}}, {"a": 1, "b": []}) == []
