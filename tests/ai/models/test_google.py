"""The Gemini model against a server on loopback that gives prepared answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError, UserError
from app.ai.messages import (
    BinaryContent,
    FilePart,
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
    VideoUrl,
)
from app.ai.models import ModelRequestParameters, infer_model
from app.ai.models.google import GoogleModel, GoogleModelSettings
from app.ai.native_tools import ImageGenerationTool, MemoryTool, WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.providers.google import GoogleProvider, GoogleVertexProvider
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition
from tests.ai.models.apis import GOOGLE, HELLO, NOTHING, streamed
from tests.ai.models.chat_server import Answer, as_json, serve

model_with, sent = GOOGLE.model_with, GOOGLE.sent
PARTS: list[dict[str, Any]] = [
    {"text": "Hm. ", "thought": True},
    {"text": "Well.", "thought": True},
    {"text": "I shall "},
    {"text": "look."},
    {"text": "", "thoughtSignature": "c2ln"},
    {"functionCall": {"name": "look", "args": {"at": "it"}, "id": "c1"}, "thoughtSignature": "c2lnMg=="},
    {"functionCall": {"name": "look", "args": {}, "id": "c2"}},
]
USAGE = {
    "promptTokenCount": 10,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 7,
    "toolUsePromptTokenCount": 2,
    "cachedContentTokenCount": 4,
    "totalTokenCount": 24,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 7}, {"modality": "AUDIO", "tokenCount": 3}],
}


def answer(*parts: dict[str, Any], finish: str | None = "STOP", **fields: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, **fields}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": "g-1", "responseId": "r1"}


def event_stream(*answers: dict[str, Any], **options: Any) -> Answer:
    body = "".join(f"data: {json.dumps(item)}\r\n\r\n" for item in answers)
    return Answer(body.encode(), content_type="text/event-stream", **options)


async def test_an_answer_becomes_parts_usage_and_finish_reason():
    async with model_with(as_json(answer(*PARTS))) as (model, server):
        response = await model.request(HELLO, None, NOTHING)
    assert server.targets == ["/v1/models/gemini-3-flash:generateContent"]
    assert server.headers[0]["x-goog-api-key"] == "sk-a-very-secret-key"
    assert response.parts == [
        ThinkingPart("Hm. Well.", provider_name="google-gla"),
        TextPart("I shall look.", provider_name="google-gla", provider_details={"thought_signature": "c2ln"}),
        ToolCallPart(
            "look",
            {"at": "it"},
            "c1",
            provider_name="google-gla",
            provider_details={"thought_signature": "c2lnMg=="},
        ),
        ToolCallPart("look", {}, "c2"),
    ]
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (12, 12, 24)
    assert (usage.cache_read_tokens, usage.input_audio_tokens) == (4, 3)
    assert usage.details["thoughts_tokens"] == 7
    assert (response.finish_reason, response.provider_response_id, response.model_name) == ("stop", "r1", "g-1")


@pytest.mark.parametrize("chunk", [1, 7, 4096])
async def test_a_streamed_answer_is_the_same_as_a_whole_one(chunk: int):
    pieces = [answer(part, finish=None) for part in PARTS]
    stream = event_stream(*pieces, answer({"text": ""}), chunk=chunk)
    async with model_with(stream, as_json(answer(*PARTS))) as (model, server):
        first = await streamed(model)
        second = await model.request(HELLO, None, NOTHING)
    assert server.targets[0] == "/v1/models/gemini-3-flash:streamGenerateContent?alt=sse"
    assert first.parts == second.parts
    assert (first.usage, first.finish_reason) == (second.usage, second.finish_reason)
    assert (first.provider_details, first.state) == (second.provider_details, "complete")


async def test_signatures_and_ids_go_back_even_after_the_answer_was_stored():
    async with model_with(as_json(answer(*PARTS)), as_json(answer({"text": "Hi"}))) as (model, server):
        first = await model.request(HELLO, None, NOTHING)
        results = ModelRequest([ToolReturnPart("look", "seen", "c1"), ToolReturnPart("look", {"seen": 2}, "c2")])
        stored = ModelMessagesTypeAdapter.dump_json([*HELLO, first, results])
        await model.request(ModelMessagesTypeAdapter.validate_json(stored), None, NOTHING)
    _, said, told = server.requests[1]["contents"]
    assert said["parts"] == [
        {"text": "Hm. Well.", "thought": True},
        {"text": "I shall look.", "thoughtSignature": "c2ln"},
        {"functionCall": {"name": "look", "args": {"at": "it"}, "id": "c1"}, "thoughtSignature": "c2lnMg=="},
        {"functionCall": {"name": "look", "args": {}, "id": "c2"}},
    ]
    assert told["parts"] == [
        {"functionResponse": {"name": "look", "response": {"return_value": "seen"}, "id": "c1"}},
        {"functionResponse": {"name": "look", "response": {"seen": 2}, "id": "c2"}},
    ]


async def test_streamed_arguments_of_a_call_are_put_together():
    pieces: list[dict[str, Any]] = [
        {"name": "look", "id": "f1", "willContinue": True},
        {"partialArgs": [{"jsonPath": "$.at", "stringValue": "Pa", "willContinue": True}], "willContinue": True},
        {
            "partialArgs": [
                {"jsonPath": "$.at", "stringValue": "ris"},
                {"jsonPath": "$.sizes[1]['a b']", "numberValue": 3},
                {"jsonPath": "$.deep.sure", "boolValue": True},
                {"jsonPath": "$.none", "nullValue": None},
            ],
            "willContinue": True,
        },
        {},
    ]
    answers = [answer({"functionCall": piece}, finish=None) for piece in pieces]
    async with model_with(event_stream(*answers, answer({"text": "?"}))) as (model, _):
        call, text = (await streamed(model)).parts
    args = {"at": "Paris", "sizes": [{}, {"a b": 3}], "deep": {"sure": True}, "none": None}
    assert call == ToolCallPart("look", args, "f1")
    assert isinstance(text, TextPart)


async def test_what_a_tool_returns_stands_in_its_declaration():
    tool = ToolDefinition(name="t", return_schema={"type": "integer"})
    body = await sent(parameters=ModelRequestParameters(function_tools=[tool]))
    [declared] = body["tools"][0]["functionDeclarations"]
    assert (declared["description"], declared["responseJsonSchema"]) == ("", {"type": "integer"})


async def test_objects_of_the_api_may_be_spelled_as_python_does():
    settings = GoogleModelSettings(google_thinking_config={"include_thoughts": True, "thinking_budget": 5})
    body = await sent(settings=settings)
    assert body["generationConfig"]["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 5}


async def test_calls_without_an_id_get_one_that_stays_with_us():
    call = {"functionCall": {"name": "look", "args": {}}}
    async with model_with(as_json(answer(call)), as_json(answer({"text": "Hi"}))) as (model, server):
        first = await model.request(HELLO, None, NOTHING)
        [made] = first.tool_calls
        retry = ModelRequest([RetryPromptPart("Again.", tool_name="look", tool_call_id=made.tool_call_id)])
        await model.request([*HELLO, first, retry], None, NOTHING)
    _, said, told = server.requests[1]["contents"]
    assert made.tool_call_id
    assert said["parts"] == [call]
    [result] = told["parts"]
    assert result["functionResponse"].keys() == {"name", "response"}
    assert "Again." in result["functionResponse"]["response"]["error"]


async def test_signatures_of_another_provider_stay_at_home():
    foreign = ModelResponse(
        [
            ThinkingPart("Hm.", provider_name="anthropic", signature="x"),
            TextPart("Hi", provider_name="openai", provider_details={"thought_signature": "theirs"}),
        ]
    )
    assert (await sent([*HELLO, foreign, *HELLO]))["contents"][1]["parts"] == [{"text": "Hi"}]


async def test_a_search_and_fetched_pages_are_told_as_native_calls():
    metadata = {
        "groundingMetadata": {"webSearchQueries": ["x"], "groundingChunks": [{"web": {"uri": "u"}}]},
        "urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "p", "urlRetrievalStatus": "OK"}]},
    }
    async with model_with(as_json(answer({"text": "Found."}, **metadata))) as (model, _):
        response = await model.request(HELLO, None, NOTHING)
    (search, found), (fetch, page) = response.native_tool_calls
    assert (search.tool_name, search.args, found.content) == ("web_search", {"queries": ["x"]}, [{"web": {"uri": "u"}}])
    assert (fetch.tool_name, fetch.args) == ("web_fetch", {"urls": ["p"]})
    assert page.content == metadata["urlContextMetadata"]["urlMetadata"]


async def test_run_code_and_made_files_are_parts_and_go_back():
    code = {"executableCode": {"language": "PYTHON", "code": "1+1"}}
    result = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}}
    image = {"inlineData": {"mimeType": "image/png", "data": "cG5n"}}
    async with model_with(as_json(answer(code, result, image))) as (model, server):
        response = await model.request(HELLO, None, NOTHING)
        await model.request([*HELLO, response, *HELLO], None, NOTHING)
    call, returned, file = response.parts
    assert isinstance(call, NativeToolCallPart)
    assert isinstance(returned, NativeToolReturnPart)
    assert call.tool_call_id == returned.tool_call_id
    assert isinstance(file, FilePart)
    assert file.content.data == b"png"
    assert server.requests[1]["contents"][1]["parts"] == [code, result, image]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (answer(finish="SAFETY"), "content_filter"),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {}}, "content_filter"),
        (answer(finish="MALFORMED_FUNCTION_CALL"), "error"),
        (answer({"text": "Hi"}, finish="MAX_TOKENS"), "length"),
        (answer({"text": "Hi"}, finish="SOMETHING_NEW"), None),
    ],
)
async def test_why_an_answer_ended_is_told(body: dict[str, Any], reason: str | None):
    async with model_with(as_json(body), event_stream(body)) as (model, _):
        whole = await model.request(HELLO, None, NOTHING)
        assert whole.finish_reason == reason
        assert whole.provider_details == (await streamed(model)).provider_details


async def test_a_request_says_all_that_was_set():
    prompt = ModelRequest(
        [
            SystemPromptPart("Be brief."),
            UserPromptPart(
                [BinaryContent(b"a", media_type="audio/wav"), VideoUrl("https://youtu.be/x"), "What is it?"]
            ),
        ],
        instructions="Be kind.",
    )
    parameters = ModelRequestParameters(
        function_tools=[ToolDefinition(name="look", description="Looks.")],
        native_tools=[WebSearchTool()],
        output_mode="native",
        output_object=OutputObjectDefinition({"type": "object"}),
    )
    safety = {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}
    settings = GoogleModelSettings(
        max_tokens=5,
        stop_sequences=["x"],
        seed=1,
        thinking="low",
        tool_choice="required",
        google_safety_settings=[safety],
    )
    body = await sent([prompt], settings, parameters)
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert body["contents"][0]["parts"] == [
        {"inlineData": {"mimeType": "audio/wav", "data": "YQ=="}},
        {"fileData": {"fileUri": "https://youtu.be/x", "mimeType": "video/mp4"}},
        {"text": "What is it?"},
    ]
    assert body["generationConfig"] == {
        "maxOutputTokens": 5,
        "stopSequences": ["x"],
        "seed": 1,
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "low"},
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }
    assert body["safetySettings"] == [safety]
    assert body["tools"][0] == {"googleSearch": {}}
    assert body["tools"][1]["functionDeclarations"][0]["name"] == "look"
    assert body["toolConfig"] == {
        "functionCallingConfig": {"mode": "ANY"},
        "includeServerSideToolInvocations": True,
    }


async def test_older_models_think_by_a_budget():
    body = await sent(settings=ModelSettings(thinking=False), name="gemini-2.5-flash")
    assert body["generationConfig"]["thinkingConfig"] == {"includeThoughts": False, "thinkingBudget": 0}


async def test_images_have_a_ratio_and_a_size():
    image = ImageGenerationTool(aspect_ratio="16:9", size="4K")
    body = await sent(parameters=ModelRequestParameters(native_tools=[image]))
    assert body["generationConfig"]["imageConfig"] == {"aspectRatio": "16:9", "imageSize": "4K"}


async def test_a_native_tool_that_gemini_lacks_is_refused():
    with pytest.raises(UserError, match="no native tool"):
        await sent(parameters=ModelRequestParameters(native_tools=[MemoryTool()]))


async def test_the_wait_that_google_asks_for_in_the_body_is_kept(monkeypatch: pytest.MonkeyPatch):
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("app.ai.retries.asyncio.sleep", note)
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1.5s"}
    error = {"error": {"code": 429, "message": "Slow down", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    async with model_with(as_json(error, status=429), as_json(answer({"text": "Hi"}))) as (model, _):
        assert (await model.request(HELLO, None, NOTHING)).text == "Hi"
    [waited] = waits
    assert 1.5 <= waited <= 1.5 * 1.25  # spread, so that not everybody comes back at once


async def test_an_error_inside_a_stream_is_the_providers_error():
    error = {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
    async with model_with(event_stream(answer({"text": "Hi"}, finish=None), error)) as (model, _):
        with pytest.raises(ModelHTTPError, match="Overloaded") as caught:
            await streamed(model)
    assert caught.value.status_code == 503


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_without_its_end_is_a_failure(cut: bool):
    async with model_with(event_stream(answer({"text": "Hi"}, finish=None), cut=cut)) as (model, _):
        with pytest.raises(ModelAPIError):
            await streamed(model)


async def test_tokens_are_counted_before_a_request():
    async with model_with(as_json({"totalTokens": 12})) as (model, server):
        assert (await model.count_tokens(HELLO, None, NOTHING)).input_tokens == 12
    assert server.targets == ["/v1/models/gemini-3-flash:countTokens"]
    assert server.requests[0]["generateContentRequest"]["model"] == "models/gemini-3-flash"


async def test_vertex_is_asked_with_a_fresh_token_each_time():
    tokens = iter(["one", "two"])
    with serve([as_json(answer({"text": "Hi"}))]) as server:
        provider = GoogleVertexProvider(base_url=server.url, access_token=lambda: next(tokens))
        async with GoogleModel("gemini-3-flash", provider=provider) as model:
            await model.request(HELLO, None, NOTHING)
            await model.request(HELLO, None, NOTHING)
    assert [headers["authorization"] for headers in server.headers] == ["Bearer one", "Bearer two"]


def test_a_model_is_found_by_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", "k")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "europe-west4")
    monkeypatch.setenv("GOOGLE_OAUTH_ACCESS_TOKEN", "t")
    model = infer_model("google-gla:gemini-3-flash")
    assert isinstance(model, GoogleModel)
    assert model.base_url == "https://generativelanguage.googleapis.com/v1beta"
    assert infer_model("google-vertex:gemini-3-flash").base_url == (
        "https://europe-west4-aiplatform.googleapis.com/v1beta1/projects/p/locations/europe-west4/publishers/google"
    )
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(UserError, match="GOOGLE_API_KEY"):
        GoogleProvider()
