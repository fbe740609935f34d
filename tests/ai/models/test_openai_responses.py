"""The Responses model against a server on loopback that gives prepared answers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError, UserError
from app.ai.messages import (
    BinaryContent,
    DocumentUrl,
    FilePart,
    ImageUrl,
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
from app.ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from app.ai.native_tools import CodeExecutionTool, ImageGenerationTool, MemoryTool, WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.tools import ToolDefinition
from tests.ai.models.apis import HELLO, NOTHING, RESPONSES, streamed
from tests.ai.models.chat_server import Answer, as_json

model_with, sent = RESPONSES.model_with, RESPONSES.sent
CITATION = {"type": "url_citation", "url": "u"}
ITEMS: list[dict[str, Any]] = [
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm."}, {"type": "summary_text", "text": "Well."}],
        "encrypted_content": "secret",
    },
    {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "x"}, "status": "completed"},
    {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "content": [{"type": "output_text", "text": "I look.", "annotations": [CITATION]}],
        "phase": "commentary",
    },
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"at": "it"}', "id": "fc_1"},
]
USAGE = {
    "input_tokens": 10,
    "output_tokens": 5,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens_details": {"reasoning_tokens": 3},
}


def response(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    output = list(items) or [message("Hi")]
    head = {"id": "resp_1", "model": "m-1", "created_at": 1700000000, "status": "completed"}
    return {**head, "output": output, "usage": USAGE, **fields}


def message(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": content}


def events_of(items: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    """The events of an answer with these items, as OpenAI cuts them up."""
    whole = response(*items, **fields)
    events = [{"type": "response.created", "response": {**whole, "output": [], "usage": None, "status": "in_progress"}}]
    for index, item in enumerate(items):
        place = {"output_index": index, "item_id": item["id"]}
        bare = {**item, "status": "in_progress", "summary": [], "content": [], "arguments": ""}
        events.append({"type": "response.output_item.added", "output_index": index, "item": bare})
        for at, summary in enumerate(item.get("summary", [])):
            kind = "response.reasoning_summary_text.delta"
            events += [{"type": kind, "summary_index": at, "delta": letter, **place} for letter in summary["text"]]
        for at, content in enumerate(item.get("content", [])):
            kind = "response.output_text.delta" if "text" in content else "response.refusal.delta"
            text = content.get("text") or content["refusal"]
            events += [{"type": kind, "content_index": at, "delta": letter, **place} for letter in text]
        kind = "response.function_call_arguments.delta"
        events += [{"type": kind, "delta": letter, **place} for letter in item.get("arguments", "")]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    end = "response.incomplete" if fields.get("incomplete_details") else "response.completed"
    return [*events, {"type": end, "response": whole}]


def event_stream(*events: dict[str, Any], **options: Any) -> Answer:
    body = "".join(
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    )
    return Answer(body.encode(), content_type="text/event-stream", **options)


def without_times(answer: ModelResponse) -> list[Any]:
    for part in answer.parts:
        if isinstance(part, NativeToolReturnPart):
            part.timestamp = datetime(2000, 1, 1, tzinfo=UTC)
    return list(answer.parts)


async def test_an_answer_becomes_parts_usage_and_finish_reason():
    async with model_with(as_json(response(*ITEMS))) as (model, server):
        answer = await model.request(HELLO, None, NOTHING)
    assert server.targets == ["/v1/responses"]
    assert server.headers[0]["authorization"] == "Bearer sk-a-very-secret-key"
    first, second, search, found, text, call = answer.parts
    assert first == ThinkingPart("Hm.", id="rs_1", signature="secret", provider_name="openai")
    assert second == ThinkingPart("Well.", id="rs_1", provider_name="openai")
    assert isinstance(search, NativeToolCallPart)
    assert (search.tool_name, search.args) == ("web_search", {"action": {"type": "search", "query": "x"}})
    assert isinstance(found, NativeToolReturnPart)
    assert (found.tool_call_id, found.content) == (search.tool_call_id, {"status": "completed"})
    assert text == TextPart(
        "I look.",
        id="msg_1",
        provider_name="openai",
        provider_details={"annotations": [CITATION], "phase": "commentary"},
    )
    assert call == ToolCallPart("look", '{"at": "it"}', "c1", id="fc_1", provider_name="openai")
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens) == (10, 5, 4)
    assert usage.details == {"reasoning_tokens": 3}
    assert (answer.finish_reason, answer.provider_response_id, answer.model_name) == ("stop", "resp_1", "m-1")


@pytest.mark.parametrize("chunk", [1, 7, 4096])
async def test_a_streamed_answer_is_the_same_as_a_whole_one(chunk: int):
    stream = event_stream(*events_of(ITEMS), chunk=chunk)
    async with model_with(stream, as_json(response(*ITEMS))) as (model, server):
        first = await streamed(model)
        second = await model.request(HELLO, None, NOTHING)
    assert server.requests[0]["stream"] is True
    assert without_times(first) == without_times(second)
    assert (first.usage, first.finish_reason) == (second.usage, second.finish_reason)
    assert (first.provider_details, first.state) == (second.provider_details, "complete")


async def test_items_go_back_as_they_came_even_after_they_were_stored():
    async with model_with(as_json(response(*ITEMS)), as_json(response())) as (model, server):
        first = await model.request(HELLO, None, NOTHING)
        result = ModelRequest([ToolReturnPart("look", {"seen": 1}, "c1"), UserPromptPart("And?")])
        stored = ModelMessagesTypeAdapter.dump_json([*HELLO, first, result])
        await model.request(ModelMessagesTypeAdapter.validate_json(stored), None, NOTHING)
    body = server.requests[1]
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body["input"] == [
        {"role": "user", "content": "Hello"},
        *ITEMS,
        {"type": "function_call_output", "call_id": "c1", "output": '{"seen":1}'},
        {"role": "user", "content": "And?"},
    ]


async def test_items_that_are_not_stored_go_back_without_their_ids():
    settings = OpenAIResponsesModelSettings(openai_store=False)
    async with model_with(as_json(response(*ITEMS))) as (model, server):
        first = await model.request(HELLO, settings, NOTHING)
        await model.request([*HELLO, first, *HELLO], settings, NOTHING)
    body = server.requests[1]
    assert body["store"] is False
    assert not any("id" in item for item in body["input"])
    assert body["input"][1]["encrypted_content"] == "secret"


async def test_what_another_provider_said_goes_as_plain_text():
    foreign = ModelResponse(
        [
            ThinkingPart("Hm.", id="x", signature="theirs", provider_name="anthropic"),
            TextPart("Hi", id="x", provider_name="anthropic"),
            ToolCallPart("look", {}, "c1", id="x", provider_name="anthropic"),
        ]
    )
    retry = ModelRequest([RetryPromptPart("Again.", tool_name="look", tool_call_id="c1")])
    _, text, call, output = (await sent([*HELLO, foreign, retry]))["input"]
    assert text == {"role": "assistant", "content": "Hi"}
    assert call == {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"}
    assert "Again." in output["output"]


async def test_a_conversation_goes_on_from_the_newest_response():
    earlier = ModelResponse([TextPart("Hi")], provider_name="openai", provider_response_id="resp_0")
    body = await sent(
        [*HELLO, earlier, ModelRequest.user_text_prompt("And?")],
        OpenAIResponsesModelSettings(openai_previous_response_id="auto"),
    )
    assert body["previous_response_id"] == "resp_0"
    assert body["input"] == [{"role": "user", "content": "And?"}]


async def test_a_request_says_all_that_was_set():
    prompt = ModelRequest(
        [
            SystemPromptPart("Be brief."),
            UserPromptPart(
                [
                    "See:",
                    ImageUrl("https://x/a.png"),
                    DocumentUrl("https://x/a.pdf"),
                    BinaryContent(b"pdf", media_type="application/pdf", identifier="f"),
                ]
            ),
        ],
        instructions="Be kind.",
    )
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="look", parameters_json_schema=schema)],
        native_tools=[WebSearchTool(), CodeExecutionTool()],
        output_mode="native",
        output_object=OutputObjectDefinition(schema, name="answer", strict=True),
    )
    settings = OpenAIResponsesModelSettings(
        max_tokens=9, thinking="low", tool_choice="required", openai_text_verbosity="low", parallel_tool_calls=False
    )
    body = await sent([prompt], settings, parameters)
    assert body["instructions"] == "Be kind."
    assert body["input"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "See:"},
                {"type": "input_image", "image_url": "https://x/a.png", "detail": "auto"},
                {"type": "input_file", "file_url": "https://x/a.pdf"},
                {"type": "input_file", "filename": "f.pdf", "file_data": "data:application/pdf;base64,cGRm"},
            ],
        },
    ]
    assert body["max_output_tokens"] == 9
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["text"]["verbosity"] == "low"
    assert body["text"]["format"]["type"] == "json_schema"
    assert body["text"]["format"]["schema"]["additionalProperties"] is False
    search, code, look = body["tools"]
    assert search == {"type": "web_search", "search_context_size": "medium"}
    assert code == {"type": "code_interpreter", "container": {"type": "auto"}}
    assert (look["name"], look["strict"]) == ("look", False)
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    assert body["include"] == ["reasoning.encrypted_content", "code_interpreter_call.outputs"]


async def test_files_that_a_tool_returned_stand_in_its_output():
    call = ModelResponse([ToolCallPart("look", "{}", "c1")])
    image = BinaryContent(b"png", media_type="image/png")
    body = await sent([*HELLO, call, ModelRequest([ToolReturnPart("look", image, "c1")])])
    [shown] = body["input"][2]["output"]
    assert shown["image_url"] == "data:image/png;base64,cG5n"


async def test_a_made_image_is_a_file_and_goes_back_in_its_item():
    item = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "cG5n"}
    async with model_with(as_json(response(item)), as_json(response())) as (model, server):
        answer = await model.request(HELLO, None, NOTHING)
        await model.request([*HELLO, answer, *HELLO], None, NOTHING)
    [file] = [part for part in answer.parts if isinstance(part, FilePart)]
    assert file.content.data == b"png"
    assert server.requests[1]["input"][1] == item


async def test_options_of_images_are_sent_and_a_ratio_is_a_size():
    image = ImageGenerationTool(aspect_ratio="3:2", input_fidelity="low", moderation="low", partial_images=2)
    body = await sent(parameters=ModelRequestParameters(native_tools=[image]))
    assert body["tools"] == [
        {
            "type": "image_generation",
            "background": "auto",
            "input_fidelity": "low",
            "moderation": "low",
            "partial_images": 2,
            "quality": "auto",
            "size": "1536x1024",
        }
    ]
    with pytest.raises(UserError, match="not of 21:9"):
        await sent(parameters=ModelRequestParameters(native_tools=[ImageGenerationTool(aspect_ratio="21:9")]))


async def test_a_native_tool_that_the_api_lacks_is_refused():
    with pytest.raises(UserError, match="no native tool"):
        await sent(parameters=ModelRequestParameters(native_tools=[MemoryTool()]))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
    ],
)
async def test_why_an_answer_broke_off_is_told(fields: dict[str, Any], reason: str):
    items = [message("Hi")]
    async with model_with(as_json(response(**fields)), event_stream(*events_of(items, **fields))) as (model, _):
        assert (await model.request(HELLO, None, NOTHING)).finish_reason == reason
        assert (await streamed(model)).finish_reason == reason


async def test_a_refusal_is_a_content_filter_with_its_words():
    item = {**message(""), "content": [{"type": "refusal", "refusal": "No."}]}
    async with model_with(as_json(response(item)), event_stream(*events_of([item]))) as (model, _):
        for answer in (await model.request(HELLO, None, NOTHING), await streamed(model)):
            assert (answer.parts, answer.finish_reason) == ([], "content_filter")
            assert answer.provider_details
            assert answer.provider_details["refusal"] == "No."


@pytest.mark.parametrize(
    "failure",
    [
        {"type": "error", "code": "server_error", "message": "Broken"},
        {"type": "error", "error": {"code": "server_error", "message": "Broken"}},
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Broken"}}},
    ],
)
async def test_an_error_inside_a_stream_is_the_providers_error(failure: dict[str, Any]):
    async with model_with(event_stream(*events_of([message("Hi")])[:3], failure)) as (model, _):
        with pytest.raises(ModelHTTPError, match="Broken") as caught:
            await streamed(model)
    assert caught.value.status_code == 500


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_without_its_end_is_a_failure(cut: bool):
    async with model_with(event_stream(*events_of([message("Hi")])[:-1], cut=cut)) as (model, _):
        with pytest.raises(ModelAPIError):
            await streamed(model)


async def test_arguments_that_come_only_when_they_are_complete_are_read():
    events = [event for event in events_of([ITEMS[3]]) if not event["type"].endswith(".delta")]
    async with model_with(event_stream(*events)) as (model, _):
        [call] = (await streamed(model)).tool_calls
    assert call.args == '{"at": "it"}'


def test_a_model_is_found_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    model = infer_model("openai-responses:gpt-5.2")
    assert isinstance(model, OpenAIResponsesModel)
    assert model.system == "openai"


async def test_a_conversation_at_openai_is_gone_on_with_and_ids_may_be_left_out():
    settings = OpenAIResponsesModelSettings(openai_conversation_id="conv_1", openai_send_reasoning_ids=False)
    thought = ThinkingPart("Hm.", id="rs_1", provider_name="openai")
    said = ModelResponse([thought, TextPart("Hi", id="msg_1", provider_name="openai")])
    body = await sent([*HELLO, said, *HELLO], settings)
    assert body["conversation"] == "conv_1"
    assert [item for item in body["input"] if "id" in item] == []


@pytest.mark.parametrize("name", ["openai_native_tools", "openai_builtin_tools"])
async def test_tools_of_the_api_may_be_given_as_it_describes_them(name: str):
    tool = {"type": "file_search", "vector_store_ids": ["v"]}
    settings: Any = {name: [tool]}
    assert (await sent(HELLO, settings))["tools"] == [tool]
