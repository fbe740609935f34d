"""Parts and details that few answers have: read the same whole and streamed, and sent back as they came."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.ai.exceptions import ModelHTTPError
from app.ai.messages import (
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.models.anthropic import AnthropicModelSettings
from app.ai.native_tools import MCPServerTool, WebSearchTool
from app.ai.tools import ToolDefinition
from tests.ai.models.apis import ANTHROPIC, CHAT, GOOGLE, HELLO, NOTHING, RESPONSES, Api, streamed
from tests.ai.models.chat_server import Answer, as_json

PNG = base64.b64encode(b"png").decode()


def events(*pieces: Any, **options: Any) -> Answer:
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces)
    return Answer(body.encode(), content_type="text/event-stream", **options)


async def both(api: Api[Any], whole: Any, *pieces: Any) -> ModelResponse:
    """The response, which is the same whole and streamed."""
    async with api.model_with(as_json(whole), events(*pieces, chunk=11)) as (model, _):
        at_once, in_pieces = await model.request(HELLO, None, NOTHING), await streamed(model)
    for response in (at_once, in_pieces):
        for part in response.parts:
            if isinstance(part, NativeToolReturnPart):
                part.timestamp = at_once.timestamp
            if isinstance(part, ToolCallPart | NativeToolCallPart):
                part.args = part.args_as_dict()
    in_pieces.timestamp = at_once.timestamp
    assert in_pieces == at_once
    return at_once


async def sent_back(api: Api[Any], response: ModelResponse) -> dict[str, Any]:
    return await api.sent([*HELLO, response, *HELLO])


def choice(finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "finish_reason": finish, **fields}]}


# Chat Completions


async def test_calls_of_every_kind_go_back_as_they_came():
    extra = {"google": {"thought_signature": "sig"}}
    calls = [
        {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls -l"}},
        {"id": "c2", "type": "function", "function": {"name": "look", "arguments": "{}"}, "extra_content": extra},
    ]
    response = await both(
        CHAT,
        choice("tool_calls", message={"tool_calls": calls}),
        choice(delta={"tool_calls": [{**calls[0], "index": 0, "custom": {"name": "shell", "input": "ls"}}]}),
        choice(delta={"tool_calls": [{"index": 0, "custom": {"input": " -l"}}]}),
        choice(delta={"tool_calls": [{**calls[1], "index": 1}]}),
        choice("tool_calls", delta={}),
    )
    assert [(call.tool_name, call.args) for call in response.tool_calls] == [
        ("shell", {"input": "ls -l"}),
        ("look", {}),
    ]
    body = await sent_back(CHAT, response)
    assert body["messages"][1]["tool_calls"] == calls


async def test_the_field_that_came_before_tool_calls_is_still_read():
    called = {"name": "look", "arguments": '{"a": 1}'}
    async with CHAT.model_with(
        as_json(choice("function_call", message={"function_call": called})),
        events(choice(delta={"function_call": called}), choice("function_call", delta={})),
    ) as (model, _):
        for response in (await model.request(HELLO, None, NOTHING), await streamed(model)):
            assert [(call.tool_name, call.args) for call in response.tool_calls] == [("look", '{"a": 1}')]
            assert response.finish_reason == "tool_call"


async def test_pictures_and_speech_are_files():
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    sound = {"id": "a1", "data": base64.b64encode(b"RIFFwave").decode(), "transcript": "Hi there"}
    response = await both(
        CHAT,
        choice("stop", message={"content": None, "audio": sound, "images": [image]}),
        choice(delta={"audio": {"id": "a1", "transcript": "Hi "}}),
        choice(delta={"audio": {"data": base64.b64encode(b"RIFF").decode(), "transcript": "there"}}),
        choice(delta={"audio": {"data": base64.b64encode(b"wave").decode()}, "images": [image]}),
        choice("stop", delta={}),
    )
    text, picture, speech = response.parts
    assert text == TextPart("Hi there")
    assert isinstance(picture, FilePart)
    assert picture.content.data == b"png"
    assert isinstance(speech, FilePart)
    assert (speech.content.data, speech.id) == (b"RIFFwave", "a1")


async def test_what_stands_beside_an_answer_is_kept():
    tokens = [{"token": "Hi", "logprob": -0.1}, {"token": "!", "logprob": -0.2}]
    filtered = {"violence": {"filtered": False, "severity": "safe"}}
    beside = {"service_tier": "flex", "system_fingerprint": "f1"}
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 1, "accepted_prediction_tokens": 0},
        "queue_time": 0.5,
        "num_search_queries": 2,
    }
    response = await both(
        CHAT,
        choice("stop", message={"content": "Hi!"}, logprobs={"content": tokens}, content_filter_results=filtered)
        | {**beside, "usage": usage},
        choice(delta={"content": "Hi"}, logprobs={"content": tokens[:1]}) | beside,
        choice(delta={"content": "!"}, logprobs={"content": tokens[1:]}, content_filter_results=filtered) | beside,
        choice("stop", delta={}) | beside,
        {"choices": [], "usage": usage, **beside},
    )
    assert response.provider_details == {
        "finish_reason": "stop",
        "logprobs": tokens,
        "content_filter_results": filtered,
        **beside,
    }
    counted = response.usage
    assert (counted.cache_read_tokens, counted.input_audio_tokens, counted.output_audio_tokens) == (4, 2, 1)
    assert counted.details["reasoning_tokens"] == 3
    assert counted.details["num_search_queries"] == 2
    assert "queue_time" not in counted.details


@pytest.mark.parametrize(
    "wrong",
    [
        choice("error", error={"code": 502, "message": "upstream"}),
        {"error": {"code": 502, "message": "upstream"}, **choice("error", delta={})},
        {"object": "error", "message": "upstream", "code": 502},
    ],
)
async def test_an_error_in_any_place_of_a_stream_is_an_error(wrong: dict[str, Any]):
    async with CHAT.model_with(events(choice(delta={"content": "Hi"}), wrong)) as (model, _):
        with pytest.raises(ModelHTTPError, match="upstream") as caught:
            await streamed(model)
    assert caught.value.status_code == 502


# Responses


async def test_items_that_only_the_end_of_a_stream_tells_are_read():
    items = [
        {"type": "message", "id": "m1", "content": [{"type": "output_text", "text": "Hi"}]},
        {"type": "x_search_call", "id": "x1", "status": "completed", "query": "q"},
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
    ]
    whole = {"id": "r1", "status": "completed", "output": items, "service_tier": "flex", "usage": {"input_tokens": 1}}
    response = await both(RESPONSES, whole, {"type": "response.completed", "response": whole})
    assert response.text == "Hi"
    assert [call.tool_name for call, _ in response.native_tool_calls] == ["x_search"]
    assert [call.tool_name for call in response.tool_calls] == ["look"]
    assert response.provider_details == {"finish_reason": "completed", "service_tier": "flex"}
    body = await sent_back(RESPONSES, response)
    assert [item.get("type") for item in body["input"]] == [None, "message", "x_search_call", "function_call", None]
    assert body["input"][2] == {"type": "x_search_call", "id": "x1", "status": "completed", "query": "q"}


async def test_a_connector_is_named_instead_of_an_address():
    tool = MCPServerTool(id="mail", url="x-openai-connector:connector_gmail", authorization_token="t")
    body = await RESPONSES.sent(parameters=ModelRequestParameters(native_tools=[tool]))
    [told] = body["tools"]
    assert told["connector_id"] == "connector_gmail"
    assert "server_url" not in told


# Messages


async def test_what_anthropic_says_beside_an_answer_is_kept():
    usage = {
        "input_tokens": 3,
        "output_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        "service_tier": "priority",
    }
    text = {"type": "text", "text": "Hi"}
    head = {"id": "m1", "model": "m", "usage": usage}
    context = {"applied_edits": [{"type": "clear_tool_uses_20250919"}]}
    container = {"id": "box", "expires_at": "2030-01-01T00:00:00Z"}
    end = {"stop_reason": "end_turn", "container": container}
    response = await both(
        ANTHROPIC,
        {**head, **end, "content": [text], "context_management": context},
        {"type": "message_start", "message": {**head, "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": end, "usage": {"output_tokens": 2}, "context_management": context},
        {"type": "message_stop"},
    )
    assert response.provider_details == {
        "finish_reason": "end_turn",
        "container": container,
        "service_tier": "priority",
        "context_management": context,
    }
    assert response.usage.details["web_search_requests"] == 1


async def test_uploaded_files_and_edits_of_the_context_are_announced_as_previews():
    settings = AnthropicModelSettings(
        anthropic_context_management={"edits": []}, anthropic_task_budget={"type": "tokens", "total": 9}
    )
    file = UploadedFile("file_1", "anthropic", media_type="application/pdf")
    for content in (UserPromptPart([file]), ToolReturnPart("look", [file], "t1")):
        async with ANTHROPIC.model_with() as (model, server):
            await model.request([ModelRequest([content])], settings, NOTHING)
        betas = server.headers[0]["anthropic-beta"].split(",")
        assert betas == ["context-management-2025-06-27", "files-api-2025-04-14"]
        assert server.requests[0]["output_config"] == {"task_budget": {"type": "tokens", "total": 9}}


# Gemini


def candidate(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, **fields}], "responseId": "r1"}


async def test_tools_that_gemini_tells_of_in_its_answer_go_back_and_are_told_once():
    call = {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}, "id": "s1"}}
    signed = {"thoughtSignature": "c2ln"}
    result = {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {"ok": True}, "id": "s1"}}
    grounding = {"webSearchQueries": ["x"], "groundingChunks": [{"web": {"uri": "u"}}]}
    parts: list[dict[str, Any]] = [{**call, **signed}, result, {"text": "Found."}]
    response = await both(
        GOOGLE,
        candidate(*parts, finishReason="STOP", groundingMetadata=grounding),
        candidate(parts[0]),
        candidate(parts[1]),
        candidate(parts[2], finishReason="STOP", groundingMetadata=grounding),
    )
    [(told, answered)] = response.native_tool_calls
    assert (told.tool_name, told.args, answered.content) == ("web_search", {"queries": ["x"]}, {"ok": True})
    body = await sent_back(GOOGLE, response)
    assert body["contents"][1] == {"role": "model", "parts": parts}


async def test_an_answer_may_come_as_a_list_of_its_pieces():
    pieces = [candidate({"text": "Hi "}), candidate({"text": "there"}, finishReason="STOP")]
    async with GOOGLE.model_with(as_json(pieces), events(pieces)) as (model, _):
        assert (await model.request(HELLO, None, NOTHING)).text == "Hi there"
        assert (await streamed(model)).text == "Hi there"


async def test_files_of_a_tool_stand_beside_its_result_where_the_model_takes_them_there():
    shot = BinaryContent(b"png", media_type="image/png", identifier="shot")
    messages: list[ModelMessage] = [
        *HELLO,
        ModelResponse([ToolCallPart("shoot", {}, "c1")]),
        ModelRequest([ToolReturnPart("shoot", ["Here.", shot], "c1")]),
    ]
    inline = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    newer = await GOOGLE.sent(messages)
    [result] = newer["contents"][2]["parts"]
    assert result["functionResponse"]["parts"] == [inline]
    older = await GOOGLE.sent(messages, name="gemini-2.5-flash")
    assert "parts" not in older["contents"][2]["parts"][0]["functionResponse"]
    assert inline in older["contents"][3]["parts"]


async def test_native_tools_and_functions_go_together_and_are_told():
    parameters = ModelRequestParameters(function_tools=[ToolDefinition(name="look")], native_tools=[WebSearchTool()])
    assert (await GOOGLE.sent(parameters=parameters))["toolConfig"] == {"includeServerSideToolInvocations": True}
    assert "toolConfig" not in await GOOGLE.sent(parameters=parameters, name="gemini-2.5-flash")


async def test_tokens_are_told_by_their_kind():
    counts = {
        "promptTokenCount": 9,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 2,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}, {"modality": "IMAGE", "tokenCount": 2}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
        "trafficType": "ON_DEMAND",
    }
    whole = candidate({"text": "Hi"}, finishReason="STOP") | {"usageMetadata": counts}
    response = await both(GOOGLE, whole, whole)
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.output_audio_tokens) == (9, 6, 4)
    assert response.usage.details == {
        "prompt_tokens": 9,
        "candidates_tokens": 4,
        "thoughts_tokens": 2,
        "text_prompt_tokens": 7,
        "image_prompt_tokens": 2,
        "audio_candidates_tokens": 4,
    }
