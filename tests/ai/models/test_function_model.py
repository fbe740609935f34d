"""FunctionModel asks a function, streaming or not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest

from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.models.function import AgentInfo, DeltaThinkingPart, DeltaToolCall, FunctionModel
from app.ai.tools import ToolDefinition
from app.ai.usage import RequestUsage

PROMPT: list[ModelMessage] = [ModelRequest.user_text_prompt("Hi", instructions="Be brief.")]
PLAIN = ModelRequestParameters()


def reply(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    return ModelResponse([TextPart("Hello there")])


async def pieces(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "Hello "
    yield "there"


async def streamed(function: Any) -> ModelResponse:
    async with FunctionModel(stream_function=function).request_stream(PROMPT, None, PLAIN) as stream:
        async for _ in stream:
            pass
        return stream.get()


async def test_a_function_answers_and_its_usage_is_estimated():
    response = await FunctionModel(reply).request(PROMPT, None, PLAIN)
    assert response.parts == [TextPart("Hello there")]
    assert response.model_name == "function:reply:"
    assert response.usage == RequestUsage(input_tokens=51, output_tokens=2)


async def test_an_async_function_answers_too_and_keeps_its_own_usage():
    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        return ModelResponse([], usage=RequestUsage(input_tokens=7), model_name="mine")

    response = await FunctionModel(answer).request(PROMPT, None, PLAIN)
    assert (response.usage, response.model_name) == (RequestUsage(input_tokens=7), "mine")


async def test_the_function_sees_the_request():
    seen: list[Any] = []

    def look(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        seen.append((messages, info))
        return reply(messages, info)

    tool, finish = ToolDefinition(name="t"), ToolDefinition(name="final_result", kind="output")
    parameters = ModelRequestParameters(
        function_tools=[tool], output_tools=[finish], output_mode="tool", allow_text_output=False
    )
    await FunctionModel(look, settings={"seed": 1}).request(PROMPT, {"top_p": 0.5}, parameters)
    [(messages, info)] = seen
    assert messages == PROMPT
    assert (info.function_tools, info.output_tools, info.allow_text_output) == ([tool], [finish], False)
    assert info.model_settings == {"seed": 1, "top_p": 0.5}
    assert info.instructions == "Be brief."
    assert info.model_request_parameters == parameters


async def test_text_streams_as_the_function_yields_it():
    response = await streamed(pieces)
    assert response.parts == [TextPart("Hello there")]
    assert response.usage == RequestUsage(input_tokens=50, output_tokens=2)
    assert (response.model_name, response.provider_name) == ("function::pieces", None)


async def test_calls_and_thinking_stream_in_pieces_by_index():
    async def function(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: DeltaThinkingPart("Hm")}
        yield {0: DeltaThinkingPart(signature="s")}
        yield {1: DeltaToolCall("t", '{"a"', tool_call_id="c1"), 2: DeltaToolCall("t", "{}", tool_call_id="c2")}
        yield {1: DeltaToolCall(json_args=": 1}")}

    assert (await streamed(function)).parts == [
        ThinkingPart("Hm", signature="s", provider_name="function"),
        ToolCallPart("t", '{"a": 1}', "c1"),
        ToolCallPart("t", "{}", "c2"),
    ]


async def test_native_tool_parts_stream_whole():
    call, result = NativeToolCallPart("search", {}, "n"), NativeToolReturnPart("search", "found", "n")

    async def function(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield {0: call}
        yield {1: result}

    assert (await streamed(function)).parts == [call, result]


async def test_text_around_a_call_is_one_part_but_a_native_tool_begins_another():
    search = NativeToolCallPart("search", "{}", tool_call_id="s")

    async def function(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Any]:
        yield "one "
        yield {0: DeltaToolCall("tool", "{}", tool_call_id="c")}
        yield "two"
        yield {1: search}
        yield "three"

    assert (await streamed(function)).parts == [
        TextPart("one two"),
        ToolCallPart("tool", "{}", tool_call_id="c"),
        search,
        TextPart("three"),
    ]


async def test_an_empty_stream_is_an_error():
    async def nothing(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        return
        yield ""

    with pytest.raises(ValueError, match="at least one"):
        await streamed(nothing)


async def test_the_function_is_closed_when_the_stream_is_left_early():
    closed: list[bool] = []

    async def endless(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        try:
            while True:
                yield "more"
        finally:
            closed.append(True)

    async with FunctionModel(stream_function=endless).request_stream(PROMPT, None, PLAIN) as stream:
        async for _ in stream:
            break
    assert closed == [True]


async def test_the_function_that_is_missing_is_named():
    with pytest.raises(AssertionError, match="no `function`"):
        await FunctionModel(stream_function=pieces).request(PROMPT, None, PLAIN)
    with pytest.raises(AssertionError, match="no `stream_function`"):
        async with FunctionModel(reply).request_stream(PROMPT, None, PLAIN):
            pass
    with pytest.raises(TypeError, match="stream_function"):
        FunctionModel()


def test_the_name_tells_the_functions():
    assert FunctionModel(reply, stream_function=pieces).model_name == "function:reply:pieces"
    assert FunctionModel(partial(reply)).model_name == "function:reply:"
    assert FunctionModel(reply, model_name="mine").model_name == "mine"
    assert FunctionModel(reply).system == "function"
