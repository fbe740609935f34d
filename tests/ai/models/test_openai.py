"""The Chat Completions model against a provider on loopback, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior, UserError
from app.ai.messages import (
    BinaryContent,
    CachePoint,
    DocumentUrl,
    FinalResultEvent,
    ImageUrl,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
)
from app.ai.models import ModelRequestParameters, infer_model, override_allow_model_requests
from app.ai.models.openai import OpenAIChatModel, OpenAIChatModelSettings
from app.ai.output_modes import OutputObjectDefinition
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.providers.openai import OpenAIProvider
from app.ai.settings import ModelSettings, ToolOrOutput
from app.ai.tools import ToolDefinition
from app.ai.usage import RequestUsage
from tests.ai.models.apis import HELLO, KEY, NOTHING
from tests.ai.models.chat_server import Answer, ChatServer, as_json, completion, delta, serve, stream

WEATHER = ToolDefinition(
    name="weather",
    description="Tell the weather.",
    parameters_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
)
FINISH = ToolDefinition(name="final_result", kind="output")


@asynccontextmanager
async def model_at(
    server: ChatServer, profile: OpenAIModelProfile | None = None, name: str = "m"
) -> AsyncIterator[OpenAIChatModel]:
    provider = OpenAIProvider(base_url=server.url, api_key=KEY)
    async with OpenAIChatModel(name, provider=provider, profile=profile) as model:
        yield model


async def ask(
    *answers: Answer,
    messages: list[ModelMessage] = HELLO,
    settings: ModelSettings | None = None,
    parameters: ModelRequestParameters = NOTHING,
    profile: OpenAIModelProfile | None = None,
) -> tuple[ModelResponse, dict[str, Any]]:
    """One request: our response, and the body that the server got."""
    with serve(answers or [completion()]) as server:
        async with model_at(server, profile) as model:
            response = await model.request(messages, settings, parameters)
    return response, server.requests[-1]


async def ask_stream(
    *answers: Answer, parameters: ModelRequestParameters = NOTHING, settings: ModelSettings | None = None
) -> tuple[ModelResponse, list[ModelResponseStreamEvent]]:
    with serve(answers) as server:
        async with model_at(server) as model, model.request_stream(HELLO, settings, parameters) as streamed:
            events = [event async for event in streamed]
            return streamed.get(), events


async def sent_messages(*messages: ModelMessage, parameters: ModelRequestParameters = NOTHING) -> list[dict[str, Any]]:
    _, body = await ask(messages=list(messages), parameters=parameters)
    return body["messages"]


# What we send


async def test_a_prompt_goes_out_with_the_key_and_the_model_name():
    with serve([completion()]) as server:
        async with model_at(server, name="gpt-x") as model:
            await model.request(HELLO, None, NOTHING)
    assert server.requests == [{"model": "gpt-x", "messages": [{"role": "user", "content": "Hello"}]}]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


async def test_a_server_of_ones_own_needs_no_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serve([completion()]) as server:
        async with OpenAIChatModel("m", provider=OpenAIProvider(base_url=server.url)) as model:
            await model.request(HELLO, None, NOTHING)
    assert "authorization" not in server.headers[0]


async def test_a_conversation_with_tools_keeps_calls_and_answers_together():
    chat = await sent_messages(
        ModelRequest([SystemPromptPart("Be brief."), UserPromptPart("Weather?")]),
        ModelResponse(
            [TextPart("I look."), ToolCallPart("weather", {"city": "Rome"}, "c1"), ToolCallPart("x", "", "c2")]
        ),
        ModelRequest(
            [
                UserPromptPart("And hurry."),
                ToolReturnPart("weather", {"sky": "blue"}, "c1"),
                RetryPromptPart("No such x.", tool_name="x", tool_call_id="c2"),
            ],
            instructions="Speak French.",
        ),
    )
    assert [message["role"] for message in chat] == ["system", "system", "user", "assistant", "tool", "tool", "user"]
    assert [chat[0]["content"], chat[1]["content"]] == ["Be brief.", "Speak French."]
    assert chat[3] == {
        "role": "assistant",
        "content": "I look.",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
            {"id": "c2", "type": "function", "function": {"name": "x", "arguments": "{}"}},
        ],
    }
    assert chat[4] == {"role": "tool", "tool_call_id": "c1", "content": '{"sky":"blue"}'}
    assert chat[5]["content"].startswith("No such x.")


async def test_a_retry_without_a_tool_is_a_user_message():
    chat = await sent_messages(ModelRequest([RetryPromptPart("Say more.")]))
    assert chat[0]["role"] == "user"
    assert "Say more." in chat[0]["content"]


async def test_broken_arguments_of_an_earlier_call_go_back_as_json():
    chat = await sent_messages(*HELLO, ModelResponse([ToolCallPart("x", '{"a', "c1")]), *HELLO)
    assert chat[1]["tool_calls"][0]["function"]["arguments"] == '{"INVALID_JSON": "{\\"a"}'


async def test_an_empty_response_is_left_out_of_the_history():
    chat = await sent_messages(*HELLO, ModelResponse([ThinkingPart("hm")]), *HELLO)
    assert [message["role"] for message in chat] == ["user", "user"]


async def test_thinking_goes_back_to_the_provider_that_gave_it_and_to_no_other():
    own = ThinkingPart("mine", id="reasoning_content", provider_name="openai")
    foreign = ThinkingPart("theirs", id="reasoning_content", provider_name="other")
    chat = await sent_messages(*HELLO, ModelResponse([own, foreign, TextPart("Yes")]), *HELLO)
    assert chat[1] == {"role": "assistant", "content": "Yes", "reasoning_content": "mine"}


async def test_user_content_keeps_its_order_and_takes_files_as_links_or_bytes():
    image = BinaryContent(b"png", media_type="image/png", vendor_metadata={"detail": "low"})
    sound = BinaryContent(b"wav", media_type="audio/wav")
    paper = BinaryContent(b"pdf", media_type="application/pdf", identifier="paper")
    note = BinaryContent(b"words", media_type="text/plain", identifier="note")
    uploaded = UploadedFile("file-1", "openai")
    content = ["Look:", ImageUrl("http://x.test/a.png"), image, sound, paper, note, CachePoint(), uploaded, "Well?"]
    chat = await sent_messages(ModelRequest([UserPromptPart(content)]))
    assert chat[0]["content"] == [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "http://x.test/a.png"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,cG5n", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "d2F2", "format": "wav"}},
        {"type": "file", "file": {"filename": "paper.pdf", "file_data": "data:application/pdf;base64,cGRm"}},
        {"type": "text", "text": "File note (text/plain):\n```\nwords\n```"},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "Well?"},
    ]


async def test_a_file_from_a_tool_follows_the_answers_as_user_content():
    image = BinaryContent(b"png", media_type="image/png", identifier="shot")
    chat = await sent_messages(
        ModelRequest([ToolReturnPart("shoot", image, "c1"), ToolReturnPart("other", 1, "c2"), UserPromptPart("Go on")])
    )
    assert [message["role"] for message in chat] == ["tool", "tool", "user", "user"]
    assert chat[0]["content"] == "See file shot."
    assert chat[2]["content"][1]["image_url"]["url"] == "data:image/png;base64,cG5n"


@pytest.mark.parametrize(
    "content",
    [VideoUrl("http://x.test/a.mp4"), UploadedFile("f", "other"), BinaryContent(b"", media_type="video/mp4")],
)
async def test_content_that_the_api_cannot_take_is_refused(content: Any):
    with pytest.raises(UserError, match="Chat Completions API"):
        await sent_messages(ModelRequest([UserPromptPart([content])]))


async def test_a_link_to_a_private_address_is_not_downloaded():
    with pytest.raises(UserError, match="private address"):
        await sent_messages(ModelRequest([UserPromptPart([DocumentUrl("http://127.0.0.1:9/a.pdf")])]))


async def test_half_a_surrogate_pair_in_a_prompt_does_not_break_the_request():
    chat = await sent_messages(ModelRequest.user_text_prompt("a\ud800b"))
    assert chat[0]["content"] == "a\ud800b"


async def test_tools_are_described_and_strict_when_their_schema_can_be_enforced():
    loose = ToolDefinition(name="loose", parameters_json_schema={"type": "object", "properties": {"a": {}}})
    _, body = await ask(parameters=ModelRequestParameters(function_tools=[WEATHER, loose]))
    strict, plain = (tool["function"] for tool in body["tools"])
    assert strict == {
        "name": "weather",
        "description": "Tell the weather.",
        "parameters": WEATHER.parameters_json_schema,
        "strict": True,
    }
    assert "strict" not in plain
    assert body["tool_choice"] == "auto"


async def test_a_tool_that_demands_strictness_gets_a_schema_that_can_be_enforced():
    schema = {"type": "object", "properties": {"n": {"type": "string", "minLength": 1, "description": "Name"}}}
    tool = ToolDefinition(name="t", parameters_json_schema=schema, strict=True)
    _, body = await ask(parameters=ModelRequestParameters(function_tools=[tool]))
    assert body["tools"][0]["function"]["parameters"] == {
        "type": "object",
        "properties": {"n": {"type": "string", "description": "Name (minLength=1)"}},
        "additionalProperties": False,
        "required": ["n"],
    }


@pytest.mark.parametrize(
    ("choice", "allow_text", "names", "mode"),
    [
        (None, True, ["weather", "final_result"], "auto"),
        (None, False, ["weather", "final_result"], "required"),
        ("required", True, ["weather", "final_result"], "required"),
        ("none", False, ["weather", "final_result"], {"type": "function", "function": {"name": "final_result"}}),
        (["weather"], True, ["weather", "final_result"], {"type": "function", "function": {"name": "weather"}}),
        (["weather", "final_result"], True, ["weather", "final_result"], "required"),
        (ToolOrOutput(["weather"]), False, ["weather", "final_result"], "required"),
    ],
)
async def test_tool_choice_decides_what_is_offered(choice: Any, allow_text: bool, names: list[str], mode: Any):
    parameters = ModelRequestParameters(
        function_tools=[WEATHER], output_tools=[FINISH], output_mode="tool", allow_text_output=allow_text
    )
    _, body = await ask(settings={"tool_choice": choice}, parameters=parameters)
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body["tool_choice"] == mode


async def test_tool_choice_of_an_unknown_tool_is_refused():
    with pytest.raises(UserError, match="nosuch"):
        await ask(settings={"tool_choice": ["nosuch"]}, parameters=ModelRequestParameters(function_tools=[WEATHER]))


async def test_settings_go_out_under_the_names_of_the_api():
    settings = OpenAIChatModelSettings(
        max_tokens=9,
        temperature=0.5,
        stop_sequences=["X"],
        seed=1,
        openai_user="u",
        extra_body={"custom": 1},
        extra_headers={"X-Custom": "2"},
        parallel_tool_calls=False,
    )
    with serve([completion()]) as server:
        async with model_at(server) as model:
            await model.request(HELLO, settings, ModelRequestParameters(function_tools=[WEATHER]))
    body = server.requests[0]
    assert {key: body[key] for key in body if key not in ("model", "messages", "tools", "tool_choice")} == {
        "max_tokens": 9,
        "temperature": 0.5,
        "stop": ["X"],
        "seed": 1,
        "user": "u",
        "custom": 1,
        "parallel_tool_calls": False,
    }
    assert server.headers[0]["x-custom"] == "2"


async def test_openai_itself_gets_the_newer_name_of_the_token_limit():
    profile = OpenAIProvider(api_key=KEY, base_url="https://api.openai.com/v1").model_profile("gpt-4o")
    assert isinstance(profile, OpenAIModelProfile)
    _, body = await ask(settings={"max_tokens": 9}, profile=profile)
    assert body["max_completion_tokens"] == 9


async def test_a_reasoning_model_gets_its_effort_and_no_sampling_settings():
    profile = OpenAIProvider(api_key=KEY, base_url="https://api.openai.com/v1").model_profile("gpt-5")
    assert isinstance(profile, OpenAIModelProfile)
    with pytest.warns(UserWarning, match="temperature"):
        _, body = await ask(settings={"temperature": 1, "thinking": "high"}, profile=profile)
    assert body["reasoning_effort"] == "high"
    assert "temperature" not in body


@pytest.mark.parametrize(
    ("name", "thinking", "effort"),
    [("gpt-5", True, "medium"), ("gpt-5", False, None), ("gpt-5.1", False, "none"), ("gpt-4o", "high", None)],
)
async def test_thinking_becomes_an_effort_where_the_model_thinks(name: str, thinking: Any, effort: str | None):
    profile = OpenAIProvider(api_key=KEY, base_url="https://api.openai.com/v1").model_profile(name)
    assert isinstance(profile, OpenAIModelProfile)
    _, body = await ask(settings={"thinking": thinking}, profile=profile)
    assert body.get("reasoning_effort") == effort


async def test_a_server_without_enforcement_is_not_asked_for_it():
    profile = OpenAIModelProfile(
        openai_supports_strict_tool_definition=False, openai_supports_tool_choice_required=False
    )
    parameters = ModelRequestParameters(function_tools=[WEATHER])
    _, body = await ask(settings={"tool_choice": "required"}, parameters=parameters, profile=profile)
    assert "strict" not in body["tools"][0]["function"]
    assert body["tool_choice"] == "auto"


async def test_native_output_is_asked_for_by_schema():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    output = OutputObjectDefinition(schema, name="place", description="Where")
    response, body = await ask(parameters=ModelRequestParameters(output_mode="native", output_object=output))
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {
            "name": "place",
            "description": "Where",
            "schema": {**schema, "additionalProperties": False},
            "strict": True,
        },
    }
    assert response.text == "Hello"


async def test_prompted_output_puts_the_schema_into_the_instructions():
    output = OutputObjectDefinition({"type": "object", "properties": {"a": {"type": "integer"}}})
    _, body = await ask(
        parameters=ModelRequestParameters(
            output_mode="prompted",
            output_object=output,
            prompted_output_template="Fit {schema}!",
            instruction_parts=[InstructionPart("Be brief.")],
        )
    )
    assert body["response_format"] == {"type": "json_object"}
    system = body["messages"][0]
    schema = '{"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": false}'
    assert system["content"] == f"Be brief.\n\nFit {schema}!"


# What we get


async def test_an_answer_becomes_a_response_with_usage_and_origin():
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0},
    }
    response, _ = await ask(completion({"content": "Hello"}, usage=usage))
    assert response.parts == [TextPart("Hello")]
    assert response.usage == RequestUsage(
        input_tokens=10,
        output_tokens=4,
        cache_read_tokens=6,
        input_audio_tokens=1,
        details={"reasoning_tokens": 3, "audio_tokens": 0},
    )
    assert (response.model_name, response.provider_name, response.provider_response_id) == ("m-1", "openai", "c1")
    assert response.finish_reason == "stop"
    assert response.provider_details == {"finish_reason": "stop", "timestamp": "2023-11-14T22:13:20+00:00"}


async def test_tool_calls_and_thinking_become_parts():
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
        {"id": "", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
    ]
    response, _ = await ask(completion({"content": None, "reasoning_content": "Hm", "tool_calls": calls}))
    thought, rome, oslo = response.parts
    assert thought == ThinkingPart("Hm", id="reasoning_content", provider_name="openai")
    assert rome == ToolCallPart("weather", '{"city":"Rome"}', "c1")
    assert isinstance(oslo, ToolCallPart)
    assert oslo.tool_call_id.startswith("pyd_ai_")


async def test_thinking_in_tags_is_told_from_text():
    response, _ = await ask(completion({"content": "<think>Hm</think>\n\nYes"}))
    assert response.parts == [ThinkingPart("Hm", id="content", provider_name="openai"), TextPart("\n\nYes")]


async def test_a_refusal_is_an_empty_response_of_the_content_filter():
    response, _ = await ask(completion({"content": None, "refusal": "I won't."}))
    assert response.parts == []
    assert response.finish_reason == "content_filter"
    assert response.provider_details
    assert response.provider_details["refusal"] == "I won't."


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (Answer(b"<html>busy</html>"), "no JSON"),
        (as_json({"choices": []}), "without any choices"),
        (as_json({"hello": 1}), "choices"),
        (as_json([1]), "wrong shape"),
        (completion({"tool_calls": [{"id": "c", "function": {"arguments": "{}"}}]}), "without naming it"),
    ],
)
async def test_rubbish_is_unexpected_behavior_that_says_what_was_wrong(answer: Answer, complaint: str):
    with pytest.raises(UnexpectedModelBehavior, match=complaint):
        await ask(answer)


async def test_an_error_with_a_status_of_success_is_an_error():
    with pytest.raises(ModelAPIError, match="overloaded"):
        await ask(as_json({"error": {"message": "overloaded"}}))


# Failing


async def test_an_error_status_is_raised_with_its_body_and_without_the_key():
    answer = as_json({"error": {"message": f"Wrong key {KEY}", "code": "invalid_api_key"}}, 401)
    with pytest.raises(ModelHTTPError) as caught:
        await ask(answer)
    assert caught.value.status_code == 401
    assert caught.value.model_name == "m"
    assert caught.value.body == {"message": "Wrong key ***", "code": "invalid_api_key"}
    assert KEY not in str(caught.value)


async def test_a_busy_server_is_asked_again_when_it_says():
    with serve(
        [
            as_json({}, 429, headers={"retry-after-ms": "1"}),
            as_json({}, 503, headers={"retry-after": "0"}),
            completion(),
        ]
    ) as server:
        async with model_at(server) as model:
            response = await model.request(HELLO, None, NOTHING)
    assert response.text == "Hello"
    assert len(server.requests) == 3


async def test_a_server_that_stays_busy_is_given_up_after_three_tries():
    with serve([as_json({"error": {"message": "busy"}}, 500, headers={"retry-after": "0"})]) as server:
        async with model_at(server) as model:
            with pytest.raises(ModelHTTPError) as caught:
                await model.request(HELLO, None, NOTHING)
    assert caught.value.status_code == 500
    assert len(server.requests) == 3


async def test_a_wait_longer_than_the_budget_is_not_waited_for():
    with serve([as_json({}, 429, headers={"retry-after": "3600"})]) as server:
        async with model_at(server) as model:
            with pytest.raises(ModelHTTPError):
                await model.request(HELLO, None, NOTHING)
    assert len(server.requests) == 1


async def test_a_request_that_is_wrong_is_not_repeated():
    with serve([as_json({}, 400)]) as server:
        async with model_at(server) as model:
            with pytest.raises(ModelHTTPError):
                await model.request(HELLO, None, NOTHING)
    assert len(server.requests) == 1


async def test_an_unreachable_server_is_an_api_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.ai.retries._FIRST_DELAY", 0.001)
    async with OpenAIChatModel("m", provider=OpenAIProvider(base_url="http://127.0.0.1:1/v1", api_key=KEY)) as model:
        with pytest.raises(ModelAPIError, match=r"Could not reach http://127\.0\.0\.1:1/v1"):
            await model.request(HELLO, None, NOTHING)


@pytest.mark.parametrize("status", [200, 400])
async def test_an_answer_that_breaks_off_is_an_api_error(status: int):
    with pytest.raises(ModelAPIError):
        await ask(Answer(b'{"choices": [', status, cut=True))


async def test_a_silent_server_runs_into_the_timeout():
    with serve([Answer(b"", hold=True)]) as server:
        async with model_at(server) as model:
            with pytest.raises(ModelAPIError, match="ReadTimeout"):
                await model.request(HELLO, {"timeout": 0.05}, NOTHING)


# Streaming


async def test_streamed_text_comes_as_events_and_ends_as_the_same_response():
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    response, events = await ask_stream(
        stream(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"), usage)
    )
    assert events == [
        PartStartEvent(index=0, part=TextPart("Hel")),
        FinalResultEvent(tool_name=None, tool_call_id=None),
        PartDeltaEvent(index=0, delta=TextPartDelta("lo")),
        PartEndEvent(index=0, part=TextPart("Hello")),
    ]
    assert response.parts == [TextPart("Hello")]
    assert response.usage == RequestUsage(input_tokens=3, output_tokens=2)
    assert (response.state, response.finish_reason, response.model_name) == ("complete", "stop", "m-1")


@pytest.mark.parametrize("chunk", [1, 7, 4096])
async def test_parallel_calls_are_assembled_however_the_bytes_are_cut(chunk: int):
    def call(index: int, **fields: Any) -> dict[str, Any]:
        return delta(tool_calls=[{"index": index, **fields}])

    answer = stream(
        delta(reasoning="Hmm…"),
        call(0, id="a", function={"name": "weather", "arguments": ""}),
        call(0, function={"arguments": '{"city":'}),
        call(0, function={"arguments": '"Zürich"}'}),
        call(1, id="b", function={"name": "weather", "arguments": "{}"}),
        delta("tool_calls"),
        chunk=chunk,
    )
    response, _ = await ask_stream(answer, parameters=ModelRequestParameters(function_tools=[WEATHER]))
    assert response.parts == [
        ThinkingPart("Hmm…", id="reasoning", provider_name="openai"),
        ToolCallPart("weather", '{"city":"Zürich"}', "a"),
        ToolCallPart("weather", "{}", "b"),
    ]


async def test_calls_that_all_claim_the_first_index_are_told_apart():
    first = {"index": 0, "id": "a", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}}
    second = {"index": 0, "id": "b", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
    response, _ = await ask_stream(stream(delta(tool_calls=[first]), delta(tool_calls=[second]), delta("tool_calls")))
    assert [call.args for call in response.tool_calls] == ['{"city":"Rome"}', '{"city":"Oslo"}']


async def test_a_name_repeated_with_every_piece_stays_one_name():
    pieces = [{"index": 0, "id": "a", "function": {"name": "weather", "arguments": text}} for text in ("{", "}")]
    response, _ = await ask_stream(stream(*(delta(tool_calls=[piece]) for piece in pieces), delta("tool_calls")))
    assert response.parts == [ToolCallPart("weather", "{}", "a")]


async def test_thinking_tags_are_recognised_across_chunks():
    pieces = [delta(content=text) for text in ("<th", "ink>Let me", " see</thi", "nk>\n\nYes", "!")]
    response, _ = await ask_stream(stream(*pieces, delta("stop")))
    assert response.parts == [
        ThinkingPart("Let me see", id="content", provider_name="openai"),
        TextPart("\n\nYes!"),
    ]


async def test_a_streamed_refusal_is_an_empty_response_of_the_content_filter():
    response, _ = await ask_stream(stream(delta(refusal="I "), delta(refusal="won't"), delta("stop")))
    assert response.parts == []
    assert response.finish_reason == "content_filter"
    assert response.provider_details
    assert response.provider_details["refusal"] == "I won't"


async def test_a_stream_may_end_with_its_finish_reason_alone():
    response, _ = await ask_stream(stream(delta(content="Hi"), delta("stop"), done=False, cut=True))
    assert (response.text, response.state) == ("Hi", "complete")


@pytest.mark.parametrize("cut", [True, False])
async def test_a_stream_that_stops_early_is_a_failure_not_a_short_answer(cut: bool):
    with pytest.raises(ModelAPIError, match=r"broke off|before the answer was complete"):
        await ask_stream(stream(delta(content="Half an ans"), done=False, cut=cut))


async def test_an_error_inside_a_stream_is_an_error():
    with pytest.raises(ModelHTTPError) as caught:
        await ask_stream(stream(delta(content="Hi"), {"error": {"message": "too much", "code": 429}}, done=False))
    assert caught.value.status_code == 429


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (stream("{broken"), "no JSON"),
        (stream({"choices": 1}), "wrong shape"),
        (stream(), "empty stream"),
        (stream(delta(tool_calls=[{"index": 0, "function": {"arguments": "{}"}}]), delta("tool_calls")), "no name"),
    ],
)
async def test_a_stream_of_rubbish_says_what_was_wrong(answer: Answer, complaint: str):
    with pytest.raises(UnexpectedModelBehavior, match=complaint):
        await ask_stream(answer)


async def test_an_error_status_for_a_stream_is_tried_again_before_anything_came():
    response, _ = await ask_stream(
        as_json({}, 429, headers={"retry-after": "0"}), stream(delta(content="Hi"), delta("stop"))
    )
    assert response.text == "Hi"


async def test_cancelling_the_reader_closes_the_connection():
    with serve([stream(delta(content="Hi"), done=False, hold=True)]) as server:
        async with model_at(server) as model:
            started = asyncio.Event()

            async def read() -> None:
                async with model.request_stream(HELLO, None, NOTHING) as streamed:
                    async for _ in streamed:
                        started.set()

            reader = asyncio.create_task(read())
            await started.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            assert await asyncio.to_thread(server.hung_up.wait, 5)


async def test_a_cancelled_stream_keeps_what_came_as_an_interrupted_response():
    with serve([stream(delta(content="Hi"), done=False, hold=True)]) as server:
        async with model_at(server) as model, model.request_stream(HELLO, None, NOTHING) as streamed:
            async for event in streamed:
                if isinstance(event, PartStartEvent):
                    await streamed.cancel()
            assert streamed.get().parts == [TextPart("Hi")]
            assert streamed.get().state == "interrupted"
        assert await asyncio.to_thread(server.hung_up.wait, 5)


# Living


def test_a_model_works_on_one_event_loop_after_another():
    with serve([completion()]) as server:
        model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=server.url, api_key=KEY))

        async def once() -> str | None:
            async with model:
                return (await model.request(HELLO, None, NOTHING)).text

        assert [asyncio.run(once()), asyncio.run(once())] == ["Hello", "Hello"]


async def test_the_client_is_closed_with_the_last_user():
    with serve([completion()]) as server:
        model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=server.url, api_key=KEY))
        async with model:
            async with model:
                client = model.client
            assert not client.is_closed
        assert client.is_closed


def test_openai_without_a_key_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        infer_model("openai:gpt-5")


def test_a_model_is_found_by_name_and_shows_no_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1234/v1/")
    model = infer_model("openai:gpt-5")
    assert isinstance(model, OpenAIChatModel)
    assert (model.model_id, model.base_url) == ("openai:gpt-5", "http://localhost:1234/v1/")
    assert KEY not in repr(model) + repr(vars(model))


async def test_requests_can_be_switched_off():
    with serve([completion()]) as server:
        async with model_at(server) as model:
            with override_allow_model_requests(False), pytest.raises(RuntimeError, match="ALLOW_MODEL_REQUESTS"):
                await model.request(HELLO, None, NOTHING)
    assert server.requests == []


async def test_an_answer_tells_the_address_as_openais_own_client_writes_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert OpenAIProvider(api_key=KEY).base_url == "https://api.openai.com/v1/"
    with serve([completion()]) as server:
        async with model_at(server) as model:
            answer = await model.request(HELLO, None, NOTHING)
    assert answer.provider_url == f"{server.url}/"


async def test_a_query_in_the_base_url_stays_a_query():
    with serve([completion()]) as server:
        provider = OpenAIProvider(base_url=f"{server.url}/models?api-version=1", api_key=KEY)
        assert provider.base_url == f"{server.url}/models/?api-version=1"
        async with OpenAIChatModel("m", provider=provider) as model:
            await model.request(HELLO, None, NOTHING)
    assert server.targets == ["/v1/models/chat/completions?api-version=1"]


async def test_a_stream_that_is_left_early_leaves_nothing_open():
    with serve([stream(delta(content="Hi"), done=False, hold=True)]) as server:
        async with model_at(server) as model:
            async with model.request_stream(HELLO, None, NOTHING) as streamed:
                events = aiter(streamed)
                await anext(events)
            assert [event async for event in events] == []
        assert await asyncio.to_thread(server.hung_up.wait, 5)
