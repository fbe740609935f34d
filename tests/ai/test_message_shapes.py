"""Messages are built, shown and priced as code written against the published classes expects."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.ai import messages
from app.ai.messages import (
    AgentStreamEvent,
    AudioUrl,
    BinaryContent,
    BinaryImage,
    DocumentUrl,
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    ImageUrl,
    ModelResponse,
    NativeToolReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
)
from app.ai.models.instrumented import InstrumentationSettings
from app.ai.usage import RequestUsage

CALL = "tool_name args tool_call_id | tool_kind id provider_name provider_details part_kind"
RETURN = "tool_name content tool_call_id | tool_kind metadata timestamp outcome"
FILE = "url | force_download vendor_metadata _media_type _identifier kind"

FIELDS = {
    "SystemPromptPart": "content | timestamp dynamic_ref part_kind",
    "UserPromptPart": "content | timestamp part_kind",
    "ToolReturnPart": f"{RETURN} part_kind",
    "NativeToolReturnPart": f"{RETURN} id provider_name provider_details part_kind",
    "RetryPromptPart": "content | tool_name tool_call_id timestamp part_kind",
    "ModelRequest": "parts | timestamp instructions kind run_id conversation_id metadata",
    "TextPart": "content | id provider_name provider_details part_kind",
    "ThinkingPart": "content | id signature provider_name provider_details part_kind",
    "FilePart": "content | id provider_name provider_details part_kind",
    "CompactionPart": "content | id provider_name provider_details part_kind",
    "ToolCallPart": CALL,
    "NativeToolCallPart": CALL,
    "ModelResponse": "parts | usage model_name timestamp kind provider_name provider_url provider_details "
    "provider_response_id finish_reason run_id conversation_id metadata state",
    "TextPartDelta": "content_delta | provider_name provider_details part_delta_kind",
    "ThinkingPartDelta": "| content_delta signature_delta provider_name provider_details part_delta_kind",
    "ToolCallPartDelta": "| tool_name_delta args_delta tool_call_id provider_name provider_details part_delta_kind",
    "PartStartEvent": "| index part previous_part_kind event_kind",
    "PartDeltaEvent": "| index delta event_kind",
    "PartEndEvent": "| index part next_part_kind event_kind",
    "FinalResultEvent": "| tool_name tool_call_id event_kind",
    "FunctionToolCallEvent": "part | args_valid event_kind",
    "FunctionToolResultEvent": "part | content event_kind",
    "OutputToolCallEvent": "part | args_valid event_kind",
    "OutputToolResultEvent": "part | event_kind",
    "BuiltinToolCallEvent": "part | event_kind",
    "BuiltinToolResultEvent": "result | event_kind",
    "InstructionPart": "content | dynamic part_kind",
    "ToolReturn": "return_value | content metadata kind",
    "TextContent": "content | metadata kind",
    "CachePoint": "| kind ttl",
    "ImageUrl": FILE,
    "AudioUrl": FILE,
    "VideoUrl": FILE,
    "DocumentUrl": FILE,
    "BinaryContent": "data | media_type vendor_metadata _identifier kind",
    "UploadedFile": "file_id provider_name | vendor_metadata _media_type _identifier kind",
}


@pytest.mark.parametrize("name", FIELDS)
def test_fields_have_the_published_order_and_those_after_the_bar_are_keywords(name: str):
    items = fields(getattr(messages, name))
    positional = [item.name for item in items if not item.kw_only]
    keywords = [item.name for item in items if item.kw_only]
    assert " ".join([*positional, "|", *keywords]) == FIELDS[name]


@pytest.mark.parametrize(
    "file",
    [
        ImageUrl("https://x.test/a.png", media_type="image/webp", identifier="a", vendor_metadata={"detail": "low"}),
        VideoUrl("https://x.test/a.mp4", force_download="allow-local"),
        BinaryContent(b"a", media_type="text/plain", identifier="a"),
        BinaryImage(b"a", media_type="image/png", identifier="a"),
        UploadedFile("file-1", "openai", media_type="image/png", identifier="a"),
    ],
)
def test_the_repr_of_a_file_reads_back_whole(file: Any):
    again = eval(repr(file), {**vars(messages)})
    assert (again, again.media_type, again.identifier, repr(again)) == (
        file,
        file.media_type,
        file.identifier,
        repr(file),
    )


@pytest.mark.parametrize(
    ("file", "media_type", "file_format"),
    [
        (AudioUrl("https://x.test/a.mp3?token=1"), "audio/mpeg", "mp3"),
        (AudioUrl("https://x.test/a.wav"), "audio/wav", "wav"),
        (AudioUrl("https://x.test/a.ogg"), "audio/ogg", "oga"),
        (AudioUrl("https://x.test/a.aiff"), "audio/aiff", "aiff"),
        (VideoUrl("https://x.test/a.mkv"), "video/x-matroska", "mkv"),
        (VideoUrl("https://x.test/a.mov"), "video/quicktime", "mov"),
        (VideoUrl("https://x.test/a.flv"), "video/x-flv", "flv"),
        (VideoUrl("https://x.test/a.mpg"), "video/mpeg", "mpeg"),
        (VideoUrl("https://x.test/a.wmv"), "video/x-ms-wmv", "wmv"),
        (VideoUrl("https://x.test/a.3gp"), "video/3gpp", "three_gp"),
        (VideoUrl("https://x.test/a.three_gp"), "video/3gpp", "three_gp"),
        (VideoUrl("https://youtu.be/abc"), "video/mp4", "mp4"),
        (ImageUrl("https://x.test/a.jpg"), "image/jpeg", "jpeg"),
        (ImageUrl("data:image/gif;base64,AAAA"), "image/gif", "gif"),
        (DocumentUrl("https://x.test/a.md"), "text/markdown", "md"),
        (DocumentUrl("https://x.test/a.txt"), "text/plain", "txt"),
        (DocumentUrl("https://x.test/a.xls"), "application/vnd.ms-excel", "xls"),
        (UploadedFile("s3://bucket/a.pdf", "bedrock"), "application/pdf", "pdf"),
    ],
)
def test_a_file_knows_its_media_type_and_format(file: Any, media_type: str, file_format: str):
    assert (file.media_type, file.format) == (media_type, file_format)


@pytest.mark.parametrize(
    "file",
    [
        BinaryContent(b"", media_type="application/custom"),
        DocumentUrl("https://x.test/a", media_type="application/custom"),
        UploadedFile("file-1", "openai"),
    ],
)
def test_a_media_type_without_a_format_is_named(file: Any):
    with pytest.raises(ValueError, match=file.media_type):
        _ = file.format


def test_only_documents_are_documents(tmp_path: Path):
    assert BinaryContent(b"", media_type="text/csv").is_document
    assert not BinaryContent(b"", media_type="application/octet-stream").is_document
    with pytest.raises(FileNotFoundError, match="nothing"):
        BinaryContent.from_path(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError):
        BinaryContent.from_path(tmp_path)


def test_a_tools_content_can_be_read_item_by_item():
    image = ImageUrl("https://x.test/a.png")
    part = ToolReturnPart("t", ["a", {"n": 1}, image, None])
    assert part.content_items() == ["a", {"n": 1}, image, None]
    assert part.content_items(mode="str") == ["a", '{"n":1}', image, ""]
    assert ToolReturnPart("t", Decimal("1.5")).content_items(mode="jsonable") == ["1.5"]


def test_a_tool_result_event_takes_its_part_under_the_old_name_too():
    part = ToolReturnPart("t", "done", "c")
    event = FunctionToolResultEvent(result=part)
    assert event == FunctionToolResultEvent(part)
    assert (event.part, event.result, event.tool_call_id) == (part, part, "c")
    adapter: TypeAdapter[Any] = TypeAdapter(AgentStreamEvent)
    assert adapter.validate_json(adapter.dump_json(event)) == event
    with pytest.raises(TypeError, match="part"):
        FunctionToolResultEvent()


def test_a_response_knows_its_price():
    usage = RequestUsage(input_tokens=1_000_000, output_tokens=1_000_000)
    response = ModelResponse([], usage=usage, model_name="gpt-5", provider_name="openai")
    assert response.cost().total_price == Decimal("11.25")
    elsewhere = ModelResponse([], usage=usage, model_name="gpt-5", provider_name="openai", provider_url="http://x.test")
    assert elsewhere.cost().total_price == Decimal("11.25")
    with pytest.raises(LookupError):
        ModelResponse([], model_name="nobody's", provider_name="openai").cost()
    with pytest.raises(AssertionError, match="model_name"):
        ModelResponse([TextPart("Hi")]).cost()


def test_old_names_warn():
    response = ModelResponse([], provider_response_id="r1", provider_details={"a": 1})
    with pytest.warns(DeprecationWarning, match="tool_call_id"):
        assert FunctionToolCallEvent(ToolCallPart("t", {}, "c")).call_id == "c"  # pyright: ignore[reportDeprecated]
    with pytest.warns(DeprecationWarning, match="cost"), pytest.raises(AssertionError):
        response.price()  # pyright: ignore[reportDeprecated]
    with pytest.warns(DeprecationWarning, match="provider_response_id"):
        assert response.vendor_id == "r1"  # pyright: ignore[reportDeprecated]
    with pytest.warns(DeprecationWarning, match="provider_details"):
        assert response.vendor_details == {"a": 1}  # pyright: ignore[reportDeprecated]


def test_usage_is_read_from_a_providers_answer():
    answer = {"model": "gpt-5", "usage": {"prompt_tokens": 7, "completion_tokens": 3}}
    for where in (
        {"provider": "openai", "provider_url": "https://api.openai.com/v1"},
        {"provider": "unheard-of", "provider_url": "https://x.test"},
    ):
        usage = RequestUsage.extract(
            answer, **where, provider_fallback="openai", api_flavor="chat", details={"reasoning_tokens": 1}
        )
        assert usage == RequestUsage(input_tokens=7, output_tokens=3, details={"reasoning_tokens": 1})
    nobody = RequestUsage.extract({}, provider="unheard-of", provider_url="https://x.test", provider_fallback="neither")
    assert nobody == RequestUsage()


def test_parts_tell_themselves_to_opentelemetry():
    settings = InstrumentationSettings()
    assert UserPromptPart("Hi").otel_message_parts(settings) == [{"type": "text", "content": "Hi"}]
    assert SystemPromptPart("Be brief").otel_message_parts(InstrumentationSettings(include_content=False)) == [
        {"type": "text"}
    ]
    call = ToolCallPart("t", {"a": 1}, "c")
    response = ModelResponse([TextPart("Hm"), call])
    assert response.otel_message_parts(settings) == [
        {"type": "text", "content": "Hm"},
        {"type": "tool_call", "id": "c", "name": "t", "arguments": {"a": 1}},
    ]
    result = {"type": "tool_call_response", "id": "c", "name": "t", "result": "done"}
    assert ToolReturnPart("t", "done", "c").otel_message_parts(settings) == [result]
    native = NativeToolReturnPart("t", "done", "c")
    assert native.otel_message_parts(settings) == [{**result, "builtin": True}]
    assert "again" in str(RetryPromptPart("Wrong").otel_message_parts(settings))


def test_parts_tell_themselves_in_opentelemetrys_older_form_too():
    settings = InstrumentationSettings(version=1)
    parts = [UserPromptPart("Hi"), ToolReturnPart("t", 1, "c"), NativeToolReturnPart("t", 1, "c")]
    events = [part.otel_event(settings) for part in parts]
    result = {"role": "tool", "id": "c", "name": "t", "content": 1}
    assert [event.body for event in events] == [{"role": "user", "content": "Hi"}, result, result]
    (event,) = ModelResponse([TextPart("Hm")]).otel_events(settings)
    assert event.body == {"role": "assistant", "content": "Hm"}
    assert event.attributes == {"event.name": "gen_ai.assistant.message"}


@pytest.mark.parametrize("kind", [ImageUrl, BinaryContent, UploadedFile])
def test_the_schema_of_a_file_names_all_that_is_written(kind: type[Any]):
    file = {
        ImageUrl: ImageUrl("https://x.test/a.png"),
        BinaryContent: BinaryContent(b"a", media_type="text/plain"),
        UploadedFile: UploadedFile("file-1", "openai"),
    }[kind]
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    schema = adapter.json_schema(mode="serialization")
    assert schema["properties"].keys() == adapter.dump_python(file).keys()
    assert set(schema["required"]) <= adapter.json_schema()["properties"].keys()
