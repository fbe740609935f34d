"""TestModel calls tools and answers by itself, the same for the same seed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from app.ai.exceptions import UserError
from app.ai.messages import (
    BinaryContent,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    RetryPromptPart,
    TextContent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.models.estimated_usage import estimate_text, estimate_usage
from app.ai.models.schema_sample import SchemaSample
from app.ai.models.test import TestModel
from app.ai.native_tools import WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.tools import ToolDefinition
from app.ai.usage import RequestUsage

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER, NEWS = (ToolDefinition(name=name, parameters_json_schema=CITY) for name in ("weather", "news"))
FINISH = ToolDefinition(name="final_result", kind="output", parameters_json_schema=CITY)
WRAPPED = ToolDefinition(
    name="final_list",
    kind="output",
    outer_typed_dict_key="response",
    parameters_json_schema={
        "type": "object",
        "properties": {"response": {"type": "integer"}},
        "required": ["response"],
    },
)
PROMPT: list[ModelMessage] = [ModelRequest.user_text_prompt("Hi")]
TOOLS = ModelRequestParameters(function_tools=[WEATHER, NEWS])
OUTPUT_TOOLS = ModelRequestParameters(output_tools=[FINISH, WRAPPED], output_mode="tool", allow_text_output=False)


def after(*parts: Any) -> list[ModelMessage]:
    return [*PROMPT, ModelResponse([]), ModelRequest(parts)]


async def answer(model: TestModel, messages: list[ModelMessage], parameters: ModelRequestParameters) -> list[Any]:
    response = await model.request(messages, None, parameters)
    return list(response.parts)


async def test_every_tool_is_called_at_once_with_made_up_arguments():
    calls = await answer(TestModel(), PROMPT, TOOLS)
    assert calls == [ToolCallPart(name, {"city": "a"}, f"pyd_ai_tool_call_id__{name}") for name in ("weather", "news")]


async def test_only_the_chosen_tools_are_called():
    [call] = await answer(TestModel(call_tools=["news"]), PROMPT, TOOLS)
    assert call.tool_name == "news"
    assert await answer(TestModel(call_tools=[]), PROMPT, TOOLS) == [TextPart("success (no tool calls)")]
    with pytest.raises(UserError, match="nosuch"):
        await answer(TestModel(call_tools=["nosuch"]), PROMPT, TOOLS)


async def test_the_returns_of_the_tools_are_the_answer():
    history = after(ToolReturnPart("weather", "fine"), ToolReturnPart("news", [1]))
    assert await answer(TestModel(), history, TOOLS) == [TextPart('{"weather":"fine","news":[1]}')]


async def test_a_tool_that_asks_for_a_retry_is_called_again():
    [call] = await answer(TestModel(), after(RetryPromptPart("again", tool_name="news")), TOOLS)
    assert call.tool_name == "news"
    [call] = await answer(TestModel(), after(RetryPromptPart("again", tool_name="final_result")), OUTPUT_TOOLS)
    assert call.tool_name == "final_result"


async def test_the_seed_picks_the_output_tool():
    [first] = await answer(TestModel(), PROMPT, OUTPUT_TOOLS)
    assert (first.tool_name, first.args) == ("final_result", {"city": "a"})
    [second] = await answer(TestModel(seed=1), PROMPT, OUTPUT_TOOLS)
    assert (second.tool_name, second.args) == ("final_list", {"response": 1})


async def test_custom_output_is_given_as_text_or_to_the_output_tool():
    assert await answer(TestModel(custom_output_text="Hi"), PROMPT, ModelRequestParameters()) == [TextPart("Hi")]
    either = replace(OUTPUT_TOOLS, allow_text_output=True)
    assert await answer(TestModel(custom_output_text="Hi"), PROMPT, either) == [TextPart("Hi")]
    [call] = await answer(TestModel(custom_output_args={"city": "Rome"}), PROMPT, OUTPUT_TOOLS)
    assert call.args == {"city": "Rome"}
    [wrapped] = await answer(TestModel(custom_output_args=7, seed=1), PROMPT, OUTPUT_TOOLS)
    assert wrapped.args == {"response": 7}


async def test_custom_output_that_does_not_fit_is_an_assertion():
    with pytest.raises(AssertionError, match="not both"):
        TestModel(custom_output_text="a", custom_output_args=1)
    with pytest.raises(AssertionError, match="tool call"):
        await answer(TestModel(custom_output_text="a"), PROMPT, OUTPUT_TOOLS)
    with pytest.raises(AssertionError, match="no output tools"):
        await answer(TestModel(custom_output_args=1), PROMPT, ModelRequestParameters())


async def test_native_output_is_made_up_as_json():
    parameters = ModelRequestParameters(output_mode="native", output_object=OutputObjectDefinition(CITY))
    assert await answer(TestModel(), PROMPT, parameters) == [TextPart('{"city":"a"}')]


async def test_native_tools_are_refused():
    with pytest.raises(UserError, match="no native tool WebSearchTool"):
        await answer(TestModel(), PROMPT, ModelRequestParameters(native_tools=[WebSearchTool()]))


async def test_the_last_parameters_can_be_looked_at():
    model = TestModel()
    await model.request(PROMPT, None, TOOLS)
    assert model.last_model_request_parameters == TOOLS


async def test_usage_counts_words():
    response = await TestModel(custom_output_text="one two").request(PROMPT, None, ModelRequestParameters())
    assert response.usage == RequestUsage(input_tokens=51, output_tokens=2)


def test_every_kind_of_content_counts_towards_the_estimate():
    history: list[ModelMessage] = [
        ModelRequest(
            [
                UserPromptPart(["two words", TextContent("one"), BinaryContent(b"four", media_type="image/png")]),
                ToolReturnPart("t", "one"),
                RetryPromptPart("again", tool_name="t"),
                UserPromptPart([ImageUrl("u.png")]),
            ]
        ),
        ModelResponse([ThinkingPart("hm"), ToolCallPart("t", {}), FilePart(BinaryContent(b"ab", media_type="a/b"))]),
    ]
    retry_words = estimate_text(RetryPromptPart("again", tool_name="t").model_response())
    assert estimate_usage(history) == RequestUsage(input_tokens=50 + 7 + 1 + retry_words, output_tokens=1 + 2 + 2)
    assert estimate_text("  ") == 0


async def test_text_streams_word_by_word():
    model = TestModel(custom_output_text="one two three")
    async with model.request_stream(PROMPT, None, ModelRequestParameters()) as stream:
        events = [event async for event in stream if isinstance(event, PartStartEvent | PartDeltaEvent)]
    assert events == [
        PartStartEvent(index=0, part=TextPart("")),
        *(PartDeltaEvent(index=0, delta=TextPartDelta(word)) for word in ("one ", "two ", "three")),
    ]
    assert stream.get().usage == RequestUsage(input_tokens=51, output_tokens=3)
    assert (stream.get().model_name, stream.get().provider_name) == ("test", "test")


async def test_a_single_word_streams_in_two_halves():
    async with TestModel(custom_output_text="word").request_stream(PROMPT, None, ModelRequestParameters()) as stream:
        deltas = [event.delta async for event in stream if isinstance(event, PartDeltaEvent)]
    assert deltas == [TextPartDelta("wo"), TextPartDelta("rd")]


async def test_calls_stream_as_whole_parts():
    async with TestModel().request_stream(PROMPT, None, TOOLS) as stream:
        parts = [event.part async for event in stream if isinstance(event, PartStartEvent)]
    assert parts == await answer(TestModel(), PROMPT, TOOLS)


@pytest.mark.parametrize(
    ("schema", "seed", "data"),
    [
        ({"const": 5}, 0, 5),
        ({"enum": ["x", "y"]}, 1, "y"),
        ({"type": "string", "examples": ["x", "y"]}, 3, "y"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, None),
        ({"oneOf": [{"type": "boolean"}]}, 1, True),
        ({"allOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"]}]}, 0, {"a": None}),
        ({"type": ["integer", "null"]}, 1, None),
        ({}, 0, "a"),
        ({"type": "string"}, 1, "b"),
        ({"type": "string"}, 94, "aa"),
        ({"type": "string", "minLength": 3}, 0, "aaa"),
        ({"type": "string", "maxLength": 0}, 0, ""),
        ({"type": "string", "format": "date"}, 1, "2024-01-02"),
        ({"type": "integer"}, 4, 4),
        ({"type": "integer", "minimum": 5}, 1, 6),
        ({"type": "integer", "maximum": 5}, 1, 4),
        ({"type": "integer", "exclusiveMinimum": 5}, 0, 6),
        ({"type": "integer", "exclusiveMaximum": 5}, 0, 4),
        ({"type": "integer", "minimum": 5, "maximum": 5}, 9, 5),
        ({"type": "number", "minimum": 2}, 0, 2.0),
        ({"type": "boolean"}, 1, True),
        ({"type": "array"}, 0, []),
        ({"type": "array", "items": {"type": "integer"}}, 2, [2]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 0}, 2, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2, "uniqueItems": True}, 0, [0, 1]),
        ({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}, 0, ["a", 0]),
        ({"type": "object", "additionalProperties": True}, 0, {"additionalProperty": "a"}),
        (
            {
                "type": "object",
                "properties": {"additionalProperty": {"type": "null"}, "b": {}},
                "required": ["additionalProperty"],
                "additionalProperties": {"type": "integer"},
            },
            0,
            {"additionalProperty": None, "additionalProperty_": 0},
        ),
        ({"$ref": "#/$defs/X", "$defs": {"X": {"type": "integer"}}}, 3, 3),
    ],
)
def test_made_up_data_fits_its_schema(schema: dict[str, Any], seed: int, data: Any):
    assert SchemaSample(schema, seed).make() == data


@pytest.mark.parametrize("seed", [0, 1, 99])
@pytest.mark.parametrize("type_", [datetime, time, timedelta, UUID])
def test_made_up_times_and_ids_are_valid(type_: Any, seed: int):
    adapter: TypeAdapter[Any] = TypeAdapter(type_)
    assert isinstance(adapter.validate_python(SchemaSample(adapter.json_schema(), seed).make()), type_)


def test_made_up_data_ends_where_a_schema_refers_to_itself():
    node = {
        "type": "object",
        "properties": {
            "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
        },
        "required": ["children", "next"],
    }
    assert SchemaSample({"$ref": "#/$defs/Node", "$defs": {"Node": node}}).make() == {"children": [], "next": None}


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"$ref": "#/$defs/X"}, "does not define"),
        (
            {
                "$ref": "#/$defs/X",
                "$defs": {"X": {"type": "object", "properties": {"x": {"$ref": "#/$defs/X"}}, "required": ["x"]}},
            },
            "without end",
        ),
    ],
)
def test_a_schema_that_nothing_fits_is_refused(schema: dict[str, Any], complaint: str):
    with pytest.raises(UserError, match=complaint):
        SchemaSample(schema).make()
