"""Hypothesis strategies for every kind of message, part and content."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from hypothesis import strategies as st

from app.ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    CompactionPart,
    DocumentUrl,
    FilePart,
    ImageUrl,
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    NativeToolSearchCallPart,
    NativeToolSearchReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    ToolSearchCallPart,
    ToolSearchReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
)
from app.ai.usage import RequestUsage

texts = st.text(st.characters(codec="utf-8"), max_size=20)
maybe_text = st.none() | texts
times = st.datetimes(timezones=st.just(UTC))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(texts, json_values, max_size=3)
maybe_object = st.none() | objects
binaries = st.builds(
    BinaryContent,
    st.binary(max_size=30),
    media_type=st.sampled_from(["image/png", "application/pdf", "audio/wav"]),
    identifier=maybe_text,
    vendor_metadata=maybe_object,
)
link_options: dict[str, Any] = {
    "force_download": st.booleans() | st.just("allow-local"),
    "vendor_metadata": maybe_object,
    "media_type": st.none() | st.just("a/b"),
    "identifier": maybe_text,
}
links = st.one_of(*(st.builds(kind, texts, **link_options) for kind in (ImageUrl, AudioUrl, VideoUrl, DocumentUrl)))
uploads = st.builds(UploadedFile, texts, texts, media_type=st.none() | st.just("a/b"), identifier=maybe_text)
files = binaries | links | uploads
user_content = st.one_of(
    texts,
    st.builds(TextContent, texts, metadata=json_values),
    files,
    st.builds(CachePoint, ttl=st.sampled_from(["5m", "1h"])),
)
tool_contents = json_values | files | st.lists(files | texts, max_size=3) | st.dictionaries(texts, files, max_size=2)
errors = st.fixed_dictionaries(
    {
        "type": texts,
        "loc": st.lists(texts | st.integers(0, 9), max_size=3).map(tuple),
        "msg": texts,
        "input": json_values,
    }
)
outcomes = st.sampled_from(["success", "failed", "denied"])
request_parts = st.one_of(
    st.builds(SystemPromptPart, texts, timestamp=times, dynamic_ref=maybe_text),
    st.builds(UserPromptPart, texts | st.lists(user_content, max_size=4), timestamp=times),
    st.builds(ToolReturnPart, texts, tool_contents, texts, metadata=json_values, timestamp=times, outcome=outcomes),
    st.builds(ToolSearchReturnPart, texts, tool_contents, texts, timestamp=times),
    st.builds(LoadCapabilityReturnPart, texts, tool_contents, texts, timestamp=times),
    st.builds(RetryPromptPart, texts | st.lists(errors, max_size=2), tool_name=maybe_text, timestamp=times),
)
origin: dict[str, Any] = {"id": maybe_text, "provider_name": maybe_text, "provider_details": maybe_object}
args = st.none() | texts | objects
response_parts = st.one_of(
    st.builds(TextPart, texts, **origin),
    st.builds(ThinkingPart, texts, signature=maybe_text, **origin),
    st.builds(ToolCallPart, texts, args, texts, **origin),
    st.builds(ToolSearchCallPart, texts, args, texts, **origin),
    st.builds(LoadCapabilityCallPart, texts, args, texts, **origin),
    st.builds(NativeToolSearchCallPart, texts, args, texts, **origin),
    st.builds(NativeToolSearchReturnPart, texts, json_values, texts, timestamp=times, **origin),
    st.builds(NativeToolCallPart, texts, args, texts, **origin),
    st.builds(NativeToolReturnPart, texts, json_values, texts, timestamp=times, **origin),
    st.builds(FilePart, binaries, **origin),
    st.builds(CompactionPart, maybe_text, **origin),
)
ids: dict[str, Any] = {"run_id": maybe_text, "conversation_id": maybe_text, "metadata": maybe_object}
counts = st.integers(0, 2**40)
messages = st.one_of(
    st.builds(
        ModelRequest,
        st.lists(request_parts, max_size=4),
        timestamp=st.none() | times,
        instructions=maybe_text,
        **ids,
    ),
    st.builds(
        ModelResponse,
        st.lists(response_parts, max_size=4),
        usage=st.builds(RequestUsage, input_tokens=counts, details=st.dictionaries(texts, counts, max_size=2)),
        model_name=maybe_text,
        timestamp=times,
        provider_name=maybe_text,
        provider_url=maybe_text,
        provider_details=maybe_object,
        provider_response_id=maybe_text,
        finish_reason=st.sampled_from([None, "stop", "length", "content_filter", "tool_call", "error"]),
        state=st.sampled_from(["complete", "incomplete", "interrupted"]),
        **ids,
    ),
)
