"""The Messages model against a server on loopback that gives prepared answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError, UserError
from app.ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.models import ModelRequestParameters, infer_model
from app.ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from app.ai.native_tools import ImageGenerationTool, MCPServerTool, WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition
from tests.ai.models.apis import ANTHROPIC, HELLO, NOTHING, streamed
from tests.ai.models.chat_server import Answer, as_json

model_with, sent = ANTHROPIC.model_with, ANTHROPIC.sent
USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5}
BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
    {"type": "redacted_thinking", "data": "secret"},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
    {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "u"}], "caller": {"type": "direct"}},
    {"type": "text", "text": "Found.", "citations": [{"type": "web", "url": "u"}]},
    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "it"}},
]


def message(*blocks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = list(blocks) or [{"type": "text", "text": "Hi"}]
    return {"id": "m1", "model": "m-1", "content": content, "stop_reason": "end_turn", "usage": USAGE, **fields}


def event_stream(*events: dict[str, Any], **options: Any) -> Answer:
    body = "".join(f"event: {event['type']}\r\ndata: {json.dumps(event)}\r\n\r\n" for event in events)
    return Answer(body.encode(), content_type="text/event-stream; charset=utf-8", **options)


def streamed_blocks(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of an answer with these blocks, as Anthropic cuts them up."""
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message() | {"content": []}}, {"type": "ping"}]
    for index, block in enumerate(blocks):
        start, deltas = block, []
        match block["type"]:
            case "thinking":
                start = {"type": "thinking", "thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": letter} for letter in block["thinking"]]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                start = {"type": "text", "text": ""}
                deltas = [{"type": "citations_delta", "citation": item} for item in block.get("citations", [])]
                deltas += [{"type": "text_delta", "text": letter} for letter in block["text"]]
            case "tool_use" | "server_tool_use":
                start = {**block, "input": {}}
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in json.dumps(block["input"])]
            case _:
                pass
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}}
    return [*events, end, {"type": "message_stop"}]


def with_plain_args(response: ModelResponse) -> list[Any]:
    for part in response.parts:
        if isinstance(part, ToolCallPart | NativeToolCallPart):
            part.args = part.args_as_dict()
        if isinstance(part, NativeToolReturnPart):
            part.timestamp = datetime(2000, 1, 1, tzinfo=UTC)
    return list(response.parts)


async def test_an_answer_becomes_parts_usage_and_finish_reason():
    async with model_with(as_json(message(*BLOCKS, stop_reason="tool_use"))) as (model, server):
        response = await model.request(HELLO, None, NOTHING)
    assert server.targets == ["/v1/v1/messages"]
    assert server.headers[0]["x-api-key"] == "sk-a-very-secret-key"
    assert server.headers[0]["anthropic-version"] == "2023-06-01"
    thought, hidden, search, found, text, call = response.parts
    assert thought == ThinkingPart("Hm.", signature="sig", provider_name="anthropic")
    assert hidden == ThinkingPart("", id="redacted_thinking", signature="secret", provider_name="anthropic")
    assert isinstance(search, NativeToolCallPart)
    assert (search.tool_name, search.args, search.tool_call_id) == ("web_search", {"query": "x"}, "s1")
    assert isinstance(found, NativeToolReturnPart)
    assert (found.tool_name, found.content) == ("web_search", [{"url": "u"}])
    assert text == TextPart(
        "Found.", provider_name="anthropic", provider_details={"citations": [{"type": "web", "url": "u"}]}
    )
    assert call == ToolCallPart("look", {"at": "it"}, "t1")
    assert (response.finish_reason, response.provider_response_id, response.model_name) == ("tool_call", "m1", "m-1")
    usage = response.usage
    assert (usage.input_tokens, usage.cache_write_tokens, usage.cache_read_tokens) == (17, 3, 4)
    assert usage.output_tokens == 5


@pytest.mark.parametrize("chunk", [1, 7, 4096])
async def test_a_streamed_answer_is_the_same_as_a_whole_one(chunk: int):
    whole = as_json(message(*BLOCKS))
    async with model_with(event_stream(*streamed_blocks(BLOCKS), chunk=chunk), whole) as (model, server):
        first = await streamed(model)
        second = await model.request(HELLO, None, NOTHING)
    assert server.requests[0]["stream"] is True
    assert with_plain_args(first) == with_plain_args(second)
    assert (first.usage, first.finish_reason) == (second.usage, second.finish_reason)
    assert (first.provider_details, first.state) == (second.provider_details, "complete")


async def test_an_answer_goes_back_as_it_came_even_after_it_was_stored():
    async with model_with(as_json(message(*BLOCKS)), as_json(message())) as (model, server):
        first = await model.request(HELLO, None, NOTHING)
        result = ModelRequest([UserPromptPart("And?"), ToolReturnPart("look", {"seen": 1}, "t1")])
        stored = ModelMessagesTypeAdapter.dump_json([*HELLO, first, result])
        await model.request(ModelMessagesTypeAdapter.validate_json(stored), None, NOTHING)
    _, answer, question = server.requests[1]["messages"]
    assert answer == {"role": "assistant", "content": BLOCKS}
    assert question["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [{"type": "text", "text": '{"seen":1}'}],
            "is_error": False,
        },
        {"type": "text", "text": "And?"},
    ]


async def test_thoughts_and_native_calls_of_another_provider_stay_at_home():
    foreign = ModelResponse(
        [
            ThinkingPart("Hm.", signature="theirs", provider_name="google"),
            NativeToolCallPart("web_search", {}, "x", provider_name="google"),
            TextPart("Hi", provider_name="google", provider_details={"citations": [1]}),
        ]
    )
    body = await sent([*HELLO, foreign, *HELLO])
    assert body["messages"][1] == {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}


async def test_system_prompts_and_instructions_are_the_system_text():
    request = ModelRequest([SystemPromptPart("Be brief."), UserPromptPart("Hello")], instructions="Be kind.")
    body = await sent([request], AnthropicModelSettings(anthropic_cache_instructions="1h"))
    control = {"type": "ephemeral", "ttl": "1h"}
    assert body["system"] == [{"type": "text", "text": "Be brief.\n\nBe kind.", "cache_control": control}]
    assert len(body["messages"]) == 1


@pytest.mark.parametrize(("name", "stays"), [("claude-opus-4-8", True), ("claude-sonnet-4-5", False)])
async def test_a_later_system_prompt_stays_where_it_came_up_if_the_model_allows_it(name: str, stays: bool):
    first = ModelRequest([SystemPromptPart("Be brief."), UserPromptPart("One")])
    later = ModelRequest([SystemPromptPart("Be kind."), UserPromptPart("Two")])
    body = await sent([first, ModelResponse([TextPart("1")]), later], name=name)
    assert body["system"] == ("Be brief." if stays else "Be brief.\n\nBe kind.")
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "user", *(["system"] if stays else [])]
    assert (body["messages"][-1]["content"] == [{"type": "text", "text": "Be kind."}]) is stays


async def test_speed_and_eager_arguments_are_asked_for():
    settings = AnthropicModelSettings(anthropic_speed="fast", anthropic_eager_input_streaming=True)
    parameters = ModelRequestParameters(function_tools=[ToolDefinition(name="t")])
    async with model_with() as (model, server):
        await model.request(HELLO, settings, parameters)
    assert server.requests[0]["speed"] == "fast"
    assert server.requests[0]["tools"][0]["eager_input_streaming"] is True
    assert server.headers[0]["anthropic-beta"] == "fast-mode-2026-02-01"


SEARCH: list[dict[str, Any]] = [
    {"type": "text", "text": "Let me look."},
    {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}},
]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_paused_is_gone_on_with(stream: bool):
    pause = message(*SEARCH, stop_reason="pause_turn")
    rest = message({"type": "text", "text": "Found."})
    answers = [as_json(pause), as_json(rest)]
    if stream:
        answers = [event_stream(*as_events(answer)) for answer in (pause, rest)]
    async with model_with(*answers) as (model, server):
        response = await (streamed(model) if stream else model.request(HELLO, None, NOTHING))
    assert [part.part_kind for part in response.parts] == ["text", "builtin-tool-call", "text"]
    assert (response.text, response.finish_reason) == ("Let me look.\n\nFound.", "stop")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (34, 10)
    assert server.requests[1]["messages"][1] == {"role": "assistant", "content": SEARCH}


async def test_an_answer_that_always_pauses_is_taken_in_the_end():
    async with model_with(as_json(message(stop_reason="pause_turn"))) as (model, server):
        response = await model.request(HELLO, None, NOTHING)
    assert len(server.requests) == len(response.parts) == 11


def as_events(answer: dict[str, Any]) -> list[dict[str, Any]]:
    *events, end, stop = streamed_blocks(answer["content"])
    return [*events, {**end, "delta": {"stop_reason": answer["stop_reason"]}}, stop]


async def test_files_cache_points_and_failed_calls_are_sent():
    request = ModelRequest(
        [
            RetryPromptPart("Wrong.", tool_name="look", tool_call_id="t1"),
            UserPromptPart(
                [
                    BinaryContent(b"png", media_type="image/png"),
                    BinaryContent(b"text", media_type="text/plain", vendor_metadata={"title": "T"}),
                    CachePoint(),
                    BinaryContent(b"pdf", media_type="application/pdf"),
                ]
            ),
        ]
    )
    call = ModelResponse([ToolCallPart("look", "{}", "t1")])
    result, image, text, pdf = (await sent([*HELLO, call, request]))["messages"][2]["content"]
    assert (result["is_error"], result["tool_use_id"]) == (True, "t1")
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": "cG5n"}
    assert (text["source"]["data"], text["title"], text["cache_control"]["ttl"]) == ("text", "T", "5m")
    assert pdf["type"] == "document"


async def test_what_the_api_cannot_take_is_refused():
    async with model_with(as_json(message())) as (model, server):
        with pytest.raises(UserError, match="no audio"):
            await model.request([ModelRequest([UserPromptPart([AudioUrl("https://x/a.mp3")])])], None, NOTHING)
        with pytest.raises(UserError, match="CachePoint"):
            await model.request([ModelRequest([UserPromptPart([CachePoint()])])], None, NOTHING)
        with pytest.raises(UserError, match="no native tool"):
            await model.request(HELLO, None, ModelRequestParameters(native_tools=[ImageGenerationTool()]))
    assert server.requests == []


async def test_tools_choice_and_native_output_are_sent():
    schema = {"type": "object", "properties": {"a": {"type": "object", "properties": {}}}}
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="look", parameters_json_schema=schema, strict=True)],
        native_tools=[WebSearchTool(max_uses=2), MCPServerTool(id="wiki", url="https://wiki")],
        output_mode="native",
        output_object=OutputObjectDefinition({"type": "object", "properties": {}}),
    )
    settings = ModelSettings(tool_choice="required", parallel_tool_calls=False)
    async with model_with(as_json(message())) as (model, server):
        await model.request(HELLO, settings, parameters)
    body = server.requests[0]
    look, search = body["tools"]
    assert look["strict"] is True
    assert look["input_schema"]["properties"]["a"]["additionalProperties"] is False
    assert search == {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert body["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert body["mcp_servers"] == [{"type": "url", "name": "wiki", "url": "https://wiki"}]
    assert server.headers[0]["anthropic-beta"] == "mcp-client-2025-04-04"


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("claude-sonnet-4-5", "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 4096}),
        ("claude-sonnet-4-5", True, {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 12288}),
        ("claude-sonnet-4-6", "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        ("claude-sonnet-4-6", False, {"thinking": {"type": "disabled"}}),
    ],
)
async def test_thinking_is_asked_for_in_the_way_of_the_model(name: str, level: Any, expected: dict[str, Any]):
    body = await sent(settings=ModelSettings(thinking=level), name=name)
    assert {key: body[key] for key in expected} == expected


async def test_sampling_is_left_out_with_a_warning_while_the_model_thinks():
    with pytest.warns(UserWarning, match="temperature"):
        body = await sent(settings=ModelSettings(thinking="low", temperature=0.5, stop_sequences=["x"]))
    assert "temperature" not in body
    assert body["stop_sequences"] == ["x"]


async def test_a_long_answer_is_streamed_in_any_case():
    async with model_with(event_stream(*streamed_blocks([{"type": "text", "text": "Hi"}]))) as (model, server):
        response = await model.request(HELLO, ModelSettings(max_tokens=50_000), NOTHING)
    assert server.requests[0]["stream"] is True
    assert response.text == "Hi"


async def test_an_error_status_names_the_error_and_the_request():
    error = {"type": "error", "error": {"type": "not_found_error", "message": "model: x"}, "request_id": "r1"}
    async with model_with(as_json(error, status=404)) as (model, _):
        with pytest.raises(ModelHTTPError) as caught:
            await model.request(HELLO, None, NOTHING)
    assert caught.value.status_code == 404
    assert caught.value.body == {"type": "not_found_error", "message": "model: x", "request_id": "r1"}


async def test_an_error_inside_a_stream_has_the_status_it_would_have_had():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    start = streamed_blocks([{"type": "text", "text": "Hi"}])[:4]
    async with model_with(event_stream(*start, error)) as (model, _):
        with pytest.raises(ModelHTTPError, match="Overloaded") as caught:
            await streamed(model)
    assert caught.value.status_code == 529


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_without_its_end_is_a_failure(cut: bool):
    events = streamed_blocks([{"type": "text", "text": "Hi"}])[:-1]
    async with model_with(event_stream(*events, cut=cut)) as (model, _):
        with pytest.raises(ModelAPIError):
            await streamed(model)


async def test_a_refusal_is_a_content_filter_with_its_details():
    refusal = message(stop_reason="refusal", stop_details={"category": "cyber"}) | {"content": []}
    async with model_with(as_json(refusal)) as (model, _):
        response = await model.request(HELLO, None, NOTHING)
    assert (response.parts, response.finish_reason) == ([], "content_filter")
    assert response.provider_details == {"finish_reason": "refusal", "stop_details": {"category": "cyber"}}


async def test_tokens_are_counted_before_a_request():
    async with model_with(as_json({"input_tokens": 12})) as (model, server):
        usage = await model.count_tokens(HELLO, ModelSettings(temperature=0.5), NOTHING)
    assert usage.input_tokens == 12
    assert server.targets == ["/v1/v1/messages/count_tokens"]
    assert server.requests[0].keys() == {"model", "messages"}


def test_a_model_is_found_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    model = infer_model("anthropic:claude-sonnet-4-5")
    assert isinstance(model, AnthropicModel)
    assert (model.model_id, model.base_url) == ("anthropic:claude-sonnet-4-5", "https://api.anthropic.com")
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(UserError, match="ANTHROPIC_API_KEY"):
        AnthropicProvider()
