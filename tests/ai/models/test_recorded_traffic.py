"""The Chat Completions model against recorded answers of real providers, replayed over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError
from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolReturnPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.models.openai import OpenAIChatModel
from app.ai.output_modes import OutputObjectDefinition
from app.ai.providers.openai import OpenAIProvider
from app.ai.tools import ToolDefinition
from tests.ai.models.recorded import traffic

pytestmark = pytest.mark.skipif(not traffic.AVAILABLE, reason=traffic.UNAVAILABLE)

CHUNKS = [1, 7, 4096]


@asynccontextmanager
async def replayed(scenario: str, **options: Any) -> AsyncIterator[tuple[OpenAIChatModel, Any]]:
    """A model that talks to a replayed scenario, and the server's journal."""
    with traffic.replay_server().ReplayServer(traffic.TRAFFIC / scenario, strict_path=True, **options) as server:
        name = server.exchanges()[0]["request"]["json"]["model"]
        async with OpenAIChatModel(name, provider=OpenAIProvider(base_url=server.base_url(), api_key="k")) as model:
            yield model, server


def object_schema(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def fold(events: list[ModelResponseStreamEvent]) -> list[Any]:
    """The parts as a client assembles them from starts and deltas alone."""
    parts: dict[int, Any] = {}
    for event in events:
        if isinstance(event, PartStartEvent):
            parts[event.index] = event.part
        elif isinstance(event, PartDeltaEvent):
            parts[event.index] = event.delta.apply(parts[event.index])
        elif isinstance(event, PartEndEvent):
            assert parts[event.index] == event.part
    return [parts[index] for index in sorted(parts)]


async def streamed(
    model: OpenAIChatModel, messages: list[ModelMessage], parameters: ModelRequestParameters
) -> tuple[ModelResponse, list[ModelResponseStreamEvent]]:
    async with model.request_stream(messages, None, parameters) as stream:
        events = [event async for event in stream]
        return stream.get(), events


async def test_a_tool_call_and_native_output_as_openai_answered_them():
    tool = ToolDefinition(name="get_user_country", parameters_json_schema=object_schema())
    schema = object_schema(city={"type": "string"}, country={"type": "string"})
    schema.pop("additionalProperties")
    parameters = ModelRequestParameters(
        function_tools=[tool],
        output_mode="native",
        output_object=OutputObjectDefinition(schema, name="result", strict=False),
    )
    question: ModelMessage = ModelRequest.user_text_prompt("What is the largest city in the user country?")
    async with replayed("openai/openai_native_output.json") as (model, server):
        first = await model.request([question], None, parameters)
        [call] = first.tool_calls
        assert (call.tool_name, call.args, first.finish_reason) == ("get_user_country", "{}", "tool_call")
        answer = ModelRequest([ToolReturnPart("get_user_country", "Mexico", call.tool_call_id)])
        second = await model.request([question, first, answer], None, parameters)
        assert second.parts == [TextPart('{"city":"Mexico City","country":"Mexico"}')]
        assert (second.usage.input_tokens, second.usage.output_tokens) == (92, 15)
        # All that differs from what OpenAI accepted: defaults that we leave out or spell out.
        sent = {difference for entry in server.journal() for difference in entry["diff"]}
        assert sent == {
            "-$.n",
            "-$.stream",
            "+$.messages[1].content",
            "+$.tools[0].function.strict",
            "+$.tools[0].function.parameters.required",
        }


@pytest.mark.parametrize("chunk", CHUNKS)
async def test_a_streamed_call_and_streamed_text_as_openai_sent_them(chunk: int):
    tool = ToolDefinition(name="get_capital", parameters_json_schema=object_schema(country={"type": "string"}))
    parameters = ModelRequestParameters(function_tools=[tool])
    question: ModelMessage = ModelRequest.user_text_prompt("What is the capital of the UK? Use the tool, then answer.")
    async with replayed("openai/run_stream_sync_streams_real_model.json", chunk=chunk) as (model, server):
        first, events = await streamed(model, [question], parameters)
        [call] = first.tool_calls
        assert call.args_as_dict().keys() == {"country"}
        assert fold(events) == first.parts
        answer = ModelRequest([ToolReturnPart("get_capital", "London", call.tool_call_id)])
        second, events = await streamed(model, [question, first, answer], parameters)
        assert "London" in (second.text or "")
        assert fold(events) == second.parts
        assert second.finish_reason == "stop"
        assert second.usage.output_tokens > 0
        assert server.journal()[0]["diff"] == []


@pytest.mark.parametrize("chunk", CHUNKS)
async def test_streamed_parallel_calls_as_openai_sent_them(chunk: int):
    tools = [ToolDefinition(name=name) for name in ("get_country", "get_product_name", "get_weather")]
    async with replayed("openai/multiple_agents.json", chunk=chunk) as (model, _):
        await model.request(
            [ModelRequest.user_text_prompt("What is the capital of Mexico?")], None, ModelRequestParameters()
        )
        response, events = await streamed(
            model,
            [ModelRequest.user_text_prompt("Tell me: the capital of the country; the weather there; the product name")],
            ModelRequestParameters(function_tools=tools),
        )
        assert [(call.tool_name, call.args) for call in response.tool_calls] == [
            ("get_country", "{}"),
            ("get_product_name", "{}"),
        ]
        assert fold(events) == response.parts
        assert response.usage.input_tokens == 364


@pytest.mark.parametrize("chunk", CHUNKS)
async def test_streamed_thinking_as_zai_sent_it(chunk: int):
    async with replayed("zai/zai_thinking_stream.json", chunk=chunk) as (model, _):
        response, events = await streamed(
            model, [ModelRequest.user_text_prompt("What is 2 + 2?")], ModelRequestParameters()
        )
        thought, answer = response.parts
        assert isinstance(thought, ThinkingPart)
        assert thought.id == "reasoning_content"
        assert isinstance(answer, TextPart)
        assert "4" in answer.content
        assert fold(events) == response.parts


async def test_an_error_status_as_openai_answered_it():
    async with replayed("openai/openai_o1_mini_system_role_system.json") as (model, server):
        with pytest.raises(ModelHTTPError) as caught:
            await model.request([ModelRequest.user_text_prompt("Hello")], None, ModelRequestParameters())
        assert caught.value.status_code == 400
        assert isinstance(caught.value.body, dict)
        assert caught.value.body["code"] == "unsupported_value"
        assert len(server.journal()) == 1


@pytest.mark.parametrize("chunk", CHUNKS)
async def test_an_error_in_the_middle_of_a_stream_as_groq_sent_it(chunk: int):
    async with replayed("groq/tool_use_failed_error_streaming.json", chunk=chunk) as (model, _):
        with pytest.raises(ModelHTTPError, match="tool_use_failed"):
            await streamed(model, [ModelRequest.user_text_prompt("Call it wrongly")], ModelRequestParameters())


@pytest.mark.parametrize("cut", [10, 700])
async def test_a_recorded_stream_that_is_cut_off_fails(cut: int):
    scenario = "openai/run_stream_sync_streams_real_model.json"
    async with replayed(scenario, faults=[f"0:cut={cut}"]) as (model, _):
        with pytest.raises(ModelAPIError):
            await streamed(model, [ModelRequest.user_text_prompt("UK?")], ModelRequestParameters())


@pytest.mark.parametrize(
    "scenario",
    [
        "perplexity/chat_streaming_responses_perplexity_sonar_supports_streaming_responses.json",
        "mistral/chat_mistral_hybrid_reasoning_streams_thinking_separately_from_content.json",
        "openrouter/openrouter_stream_with_native_options.json",
        "deepseek/chat_function_calling_deepseek_deepseek-chat_can_use_tools_with_multi-turn_streaming_conversations.json",
    ],
)
async def test_other_servers_streams_can_be_read(scenario: str):
    async with replayed(scenario, chunk=7) as (model, _):
        response, events = await streamed(model, [ModelRequest.user_text_prompt("Hi")], ModelRequestParameters())
        assert response.text or response.tool_calls
        assert response.usage.output_tokens > 0
        assert fold(events) == response.parts
