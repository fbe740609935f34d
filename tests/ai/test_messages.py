"""Messages keep everything on their way through JSON, and tell the model and the reader what they hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.ai.exceptions import ModelRetry, UnexpectedModelBehavior
from app.ai.messages import (
    AgentStreamEvent,
    BinaryContent,
    BinaryImage,
    CompactionPart,
    DocumentUrl,
    FilePart,
    FinalResultEvent,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ImageUrl,
    InstructionPart,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    OutputToolCallEvent,
    OutputToolResultEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    RetryPromptPart,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
    is_multi_modal_content,
)
from app.ai.usage import RequestUsage
from tests.ai.message_strategies import messages

PNG = BinaryContent(b"\xff\xfe??", media_type="image/png")


@given(st.lists(messages, max_size=3))
def test_every_message_survives_json(history: list[Any]):
    written = ModelMessagesTypeAdapter.dump_json(history)
    assert ModelMessagesTypeAdapter.validate_json(written) == history
    # The second way is that of a jsonb column: parsed by somebody else before we see it.
    assert ModelMessagesTypeAdapter.validate_python(json.loads(written)) == history


@given(st.lists(messages, max_size=2))
def test_python_form_survives_too(history: list[Any]):
    assert ModelMessagesTypeAdapter.validate_python(ModelMessagesTypeAdapter.dump_python(history)) == history


def test_json_names_every_field_and_writes_times_in_utc():
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    [request] = json.loads(ModelMessagesTypeAdapter.dump_json([ModelRequest([UserPromptPart("Hi", timestamp=at)])]))
    assert request == {
        "kind": "request",
        "parts": [{"part_kind": "user-prompt", "content": "Hi", "timestamp": "2026-01-02T03:04:05Z"}],
        "timestamp": None,
        "instructions": None,
        "run_id": None,
        "conversation_id": None,
        "metadata": None,
    }


def test_binary_data_is_url_safe_base64_and_both_alphabets_are_read():
    adapter = TypeAdapter(BinaryContent)
    written = json.loads(adapter.dump_json(PNG))
    assert written["data"] == "__4_Pw=="
    assert written["identifier"] == PNG.identifier
    assert adapter.validate_python({**written, "data": "//4/Pw=="}) == PNG
    with pytest.raises(ValidationError, match="base64"):
        adapter.validate_python({**written, "data": "no base64!"})


def test_a_link_carries_its_inferred_media_type_and_identifier():
    written = TypeAdapter(ImageUrl).dump_python(ImageUrl("https://x.test/a.png?size=1"))
    assert (written["media_type"], written["identifier"]) == (
        "image/png",
        ImageUrl("https://x.test/a.png?size=1").identifier,
    )
    assert len(written["identifier"]) == 6


def test_a_link_without_a_suffix_asks_for_its_media_type_but_can_be_stored():
    link = DocumentUrl("https://x.test/report")
    with pytest.raises(ValueError, match="media_type"):
        _ = link.media_type
    assert TypeAdapter(DocumentUrl).validate_json(TypeAdapter(DocumentUrl).dump_json(link)) == link
    assert DocumentUrl("https://x.test/report", media_type="application/pdf").format == "pdf"


def test_youtube_is_recognised_by_its_host():
    assert VideoUrl("https://www.youtube.com/watch?v=1").media_type == "video/mp4"
    assert not VideoUrl("https://youtube.com.evil.test/a.mp4").is_youtube


def test_identifiers_are_the_start_of_a_sha1():
    assert BinaryContent(b"", media_type="text/plain").identifier == "da39a3"
    assert UploadedFile("", "openai").identifier == "da39a3"
    assert BinaryContent(b"", media_type="text/plain", identifier="mine").identifier == "mine"


def test_binary_content_knows_its_kind(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"png")
    image = BinaryContent.from_path(tmp_path / "a.png")
    assert isinstance(image, BinaryImage)
    assert image == BinaryContent(b"png", media_type="image/png")
    assert BinaryContent.from_data_uri(image.data_uri) == image
    assert (image.is_image, image.is_audio, image.is_video, image.is_document) == (True, False, False, False)
    assert BinaryContent(b"", media_type="application/pdf").is_document
    with pytest.raises(ValueError, match="data:"):
        BinaryContent.from_data_uri("http://x.test")
    with pytest.raises(ValueError, match=r"image/\*"):
        BinaryImage(b"", media_type="text/plain")


def test_old_names_are_read():
    old = {
        "kind": "response",
        "parts": [],
        "vendor_id": "r1",
        "vendor_details": {"a": 1},
        "usage": {"request_tokens": 3, "response_tokens": 4, "details": None},
        "gone": True,
    }
    [response] = ModelMessagesTypeAdapter.validate_python([old])
    assert isinstance(response, ModelResponse)
    assert (response.provider_response_id, response.provider_details) == ("r1", {"a": 1})
    assert response.usage == RequestUsage(input_tokens=3, output_tokens=4)


def test_validation_errors_with_locations_as_lists_or_tuples_are_equal():
    error = {"type": "missing", "msg": "Field required", "input": {}}
    at = datetime(2026, 1, 1, tzinfo=UTC)
    as_list, as_tuple = (
        RetryPromptPart([{**error, "loc": loc}], tool_call_id="c", timestamp=at)  # type: ignore[typeddict-item]
        for loc in (["a", 0], ("a", 0))
    )
    assert as_list == as_tuple


def test_errors_about_what_json_does_not_know_can_be_stored_and_told():
    error: Any = {"type": "x", "loc": (), "msg": "No", "input": b"\xff", "ctx": {"error": ValueError("no")}}
    part = RetryPromptPart([error], tool_name="t")
    [request] = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json([ModelRequest([part])]))
    stored = request.parts[0]
    assert isinstance(stored, RetryPromptPart) and stored.tool_name == "t"
    assert stored.content == [{**error, "input": "_w==", "ctx": {"error": "no"}}]
    assert '"input": "_w=="' in part.model_response()


def test_a_tools_own_data_that_resembles_a_file_stays_as_it_is():
    content = {"kind": "binary", "data": "plain words!", "media_type": "text/plain"}
    part = ToolReturnPart("t", content)
    [request] = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json([ModelRequest([part])]))
    assert request == ModelRequest([ToolReturnPart("t", content, part.tool_call_id, timestamp=part.timestamp)])


def test_reprs_leave_defaults_out():
    assert repr(TextPart("Hi")) == "TextPart(content='Hi')"
    assert repr(ToolCallPart("t", {"a": 1}, "c")) == "ToolCallPart(tool_name='t', args={'a': 1}, tool_call_id='c')"
    assert repr(ImageUrl("u.png", force_download=True)) == "ImageUrl(url='u.png', force_download=True)"
    assert repr(FinalResultEvent(tool_name=None, tool_call_id="c")) == (
        "FinalResultEvent(tool_name=None, tool_call_id='c')"
    )


@pytest.mark.parametrize(
    ("content", "text", "data"),
    [
        ("plain", "plain", {"return_value": "plain"}),
        (None, "", {"return_value": None}),
        ({"a": 1}, '{"a":1}', {"a": 1}),
        ([1, 2], "[1,2]", {"return_value": [1, 2]}),
        (timedelta(seconds=1), '"PT1S"', {"return_value": "PT1S"}),
    ],
)
def test_a_tools_return_reads_as_text_or_object(content: Any, text: str, data: dict[str, Any]):
    part = ToolReturnPart("t", content)
    assert (part.model_response_str(), part.model_response_object()) == (text, data)


def test_files_in_a_return_become_references_and_user_content():
    part = ToolReturnPart("t", ["See this", PNG])
    text, content = part.model_response_str_and_user_content()
    assert text == f'["See this","See file {PNG.identifier}."]'
    assert content == [f"File {PNG.identifier}:", PNG]
    assert part.files == [PNG]
    assert all(is_multi_modal_content(file) for file in part.files)


def test_a_retry_prompt_reads_as_instructions():
    errors = [{"type": "missing", "loc": ("city",), "msg": "Field required", "input": {}, "url": "http://x", "ctx": {}}]
    text = RetryPromptPart(errors, tool_name="t").model_response()  # type: ignore[arg-type]
    assert text.startswith("1 validation error:\n```json\n")
    assert "Field required" in text
    assert "http://x" not in text
    assert RetryPromptPart("Too short", tool_name="t").model_response().startswith("Too short\n\n")
    assert "Too short" in RetryPromptPart("Too short").model_response()


@pytest.mark.parametrize(
    ("args", "as_dict", "as_json"),
    [
        ('{"a":1}', {"a": 1}, '{"a":1}'),
        ({"a": 1}, {"a": 1}, '{"a":1}'),
        ("", {}, "{}"),
        (None, {}, "{}"),
        ({}, {}, "{}"),
        ('{"a', {"INVALID_JSON": '{"a'}, '{"a'),
        ("[1]", {"INVALID_JSON": "[1]"}, "[1]"),
    ],
)
def test_call_arguments_read_as_object_or_json(args: Any, as_dict: dict[str, Any], as_json: str):
    part = ToolCallPart("t", args)
    assert (part.args_as_dict(), part.args_as_json_str()) == (as_dict, as_json)


def test_invalid_arguments_raise_when_asked_to():
    for args in ('{"a', "[1]"):
        with pytest.raises(ValueError, match=r"JSON|EOF"):
            ToolCallPart("t", args).args_as_dict(raise_if_invalid=True)


def test_made_up_call_ids_are_recognisable():
    assert ToolCallPart("t").tool_call_id.startswith("pyd_ai_")
    assert len(ToolCallPart("t").tool_call_id) == len("pyd_ai_") + 32


def test_a_response_shows_what_it_holds():
    call, native = ToolCallPart("t"), NativeToolCallPart("search", {}, "n1")
    result = NativeToolReturnPart("search", "found", "n1")
    response = ModelResponse(
        [ThinkingPart("Hm"), TextPart("A"), TextPart("B"), native, result, TextPart("C"), call, FilePart(PNG)]
    )
    assert response.text == "AB\n\nC"
    assert response.thinking == "Hm"
    assert response.tool_calls == [call]
    assert response.native_tool_calls == response.builtin_tool_calls == [(native, result)]
    assert response.files == [PNG]
    assert [type(image) for image in response.images] == [BinaryImage]
    empty = ModelResponse([])
    assert (empty.text, empty.thinking, empty.tool_calls) == (None, None, [])


def test_parts_know_whether_they_hold_anything():
    assert all(part.has_content() for part in (TextPart("a"), ThinkingPart("a"), CompactionPart("a"), FilePart(PNG)))
    assert ToolCallPart("t", {"a": 1}).has_content()
    assert not ToolCallPart("t", {"a": None}).has_content()
    assert not ToolCallPart("t", "").has_content()
    assert not ToolReturnPart("t", None).has_content()
    assert not TextPart("").has_content()


def test_instructions_join_with_static_blocks_first():
    parts = [InstructionPart("now", dynamic=True), InstructionPart("always"), InstructionPart("", dynamic=True)]
    assert InstructionPart.join(InstructionPart.sorted(parts)) == "always\n\nnow"
    assert InstructionPart.join([]) is None


# Deltas and events


def test_deltas_grow_their_part():
    assert TextPartDelta("b", provider_details={"y": 2}).apply(TextPart("a", provider_details={"x": 1})) == TextPart(
        "ab", provider_details={"x": 1, "y": 2}
    )
    thinking = ThinkingPartDelta(content_delta="b", signature_delta="s", provider_details=lambda old: {"n": 1})
    assert thinking.apply(ThinkingPart("a")) == ThinkingPart("ab", signature="s", provider_details={"n": 1})
    assert ToolCallPartDelta(args_delta="}", tool_call_id="c").apply(ToolCallPart("t", "{", "c")).args == "{}"
    assert ToolCallPartDelta(args_delta={"b": 2}).apply(ToolCallPart("t", {"a": 1}, "c")).args == {"a": 1, "b": 2}


def test_deltas_merge_until_the_call_has_a_name():
    nameless = ToolCallPartDelta(args_delta="{", tool_call_id="c")
    assert nameless.as_part() is None
    assert ToolCallPartDelta(args_delta="}").apply(nameless) == ToolCallPartDelta(args_delta="{}", tool_call_id="c")
    assert ToolCallPartDelta(tool_name_delta="t").apply(nameless) == ToolCallPart("t", "{", "c")
    merged = ThinkingPartDelta(content_delta="b", provider_details={"y": 2}).apply(
        ThinkingPartDelta(content_delta="a", provider_details=lambda old: {"x": 1})
    )
    assert merged.apply(ThinkingPart("")) == ThinkingPart("ab", provider_details={"x": 1, "y": 2})


def test_a_delta_of_another_kind_is_refused():
    for delta in (TextPartDelta("a"), ThinkingPartDelta(content_delta="a"), ToolCallPartDelta(args_delta="a")):
        with pytest.raises(ValueError, match="does not apply"):
            delta.apply(FilePart(PNG))
    with pytest.raises(ValueError, match="empty thinking delta"):
        ThinkingPartDelta().apply(ThinkingPartDelta(content_delta="a"))
    with pytest.raises(UnexpectedModelBehavior, match="mix"):
        ToolCallPartDelta(args_delta={"a": 1}).apply(ToolCallPart("t", "{"))


@pytest.mark.parametrize(
    "event",
    [
        PartStartEvent(index=0, part=TextPart("a"), previous_part_kind="thinking"),
        PartDeltaEvent(index=0, delta=TextPartDelta("a")),
        PartDeltaEvent(index=0, delta=ThinkingPartDelta(content_delta="a", provider_details={"x": 1})),
        PartDeltaEvent(index=0, delta=ToolCallPartDelta(args_delta={"a": 1})),
        PartEndEvent(index=0, part=ToolCallPart("t", "{}"), next_part_kind="text"),
        FinalResultEvent(tool_name="t", tool_call_id="c"),
        FunctionToolCallEvent(ToolCallPart("t"), args_valid=False),
        FunctionToolResultEvent(ToolReturnPart("t", PNG), content=["see", PNG]),
        FunctionToolResultEvent(RetryPromptPart("again", tool_name="t")),
        OutputToolCallEvent(ToolCallPart("t"), args_valid=True),
        OutputToolResultEvent(ToolReturnPart("t", 1)),
    ],
    ids=lambda event: event.event_kind,
)
def test_events_survive_json(event: Any):
    adapter: TypeAdapter[Any] = TypeAdapter(AgentStreamEvent)
    assert adapter.validate_json(adapter.dump_json(event)) == event
    if hasattr(event, "tool_call_id") and not isinstance(event, FinalResultEvent):
        assert event.tool_call_id == event.part.tool_call_id


def test_a_change_of_details_that_is_a_function_is_left_out_of_json():
    adapter: TypeAdapter[Any] = TypeAdapter(AgentStreamEvent)
    delta = ThinkingPartDelta(content_delta="a", provider_details=lambda _: {"a": 1})
    stored = adapter.dump_json(PartDeltaEvent(index=0, delta=delta))
    assert adapter.validate_json(stored) == PartDeltaEvent(index=0, delta=ThinkingPartDelta(content_delta="a"))


def test_a_tool_result_event_reads_its_old_field_name():
    adapter: TypeAdapter[Any] = TypeAdapter(AgentStreamEvent)
    part = ToolReturnPart("t", 1)
    written = adapter.dump_python(FunctionToolResultEvent(part))
    written["result"] = written.pop("part")
    assert adapter.validate_python(written).result == part


def test_a_model_retry_survives_json():
    adapter = TypeAdapter(ModelRetry)
    assert json.loads(adapter.dump_json(ModelRetry("again"))) == {"message": "again", "kind": "model-retry"}
    assert adapter.validate_json(adapter.dump_json(ModelRetry("again"))) == ModelRetry("again")
    assert len({ModelRetry("again"), ModelRetry("again"), ModelRetry("other")}) == 2
