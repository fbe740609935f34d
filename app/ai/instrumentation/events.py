"""Messages as events of OpenTelemetry's older conventions for generative AI, for instrumentation version 1."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opentelemetry._logs import LogRecord
from pydantic_core import to_jsonable_python

from app.ai.instrumentation.settings import InstrumentationSettings, as_data
from app.ai.messages import (
    BinaryContent,
    CachePoint,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    NativeToolReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.models.model import Model

if TYPE_CHECKING:
    from app.ai.models.parameters import ModelRequestParameters

Json = dict[str, Any]


def events_of(
    messages: list[ModelMessage], settings: InstrumentationSettings, parameters: ModelRequestParameters | None = None
) -> list[LogRecord]:
    """An event for the instructions, and one or more for each message."""
    events: list[LogRecord] = []
    instructions = _instructions(messages, parameters)
    if instructions is not None:
        body = {**_content("content", instructions, settings), "role": "system"}
        events.append(_event("gen_ai.system.message", body))
    for index, message in enumerate(messages):
        told = _request(message, settings) if isinstance(message, ModelRequest) else response_events(message, settings)
        for event in told:
            event.attributes = {**(event.attributes or {}), "gen_ai.message.index": index}
            events.append(event)
    return events


def choice_event(response: ModelResponse, settings: InstrumentationSettings) -> LogRecord:
    """The answer of a request."""
    told = response_events(response, settings)
    return _event("gen_ai.choice", {"index": 0, "message": told[0].body if told else {"role": "assistant"}})


def response_events(response: ModelResponse, settings: InstrumentationSettings) -> list[LogRecord]:
    """A response as the assistant's message."""
    body: Json = {"role": "assistant"}
    content = [told for part in response.parts if (told := _response_part(part, settings)) is not None]
    texts = [part for part in response.parts if isinstance(part, TextPart)]
    if content == [{"kind": "text", **_content("text", text.content, settings)} for text in texts[:1]] and texts:
        # A lone text stands for itself.
        body |= _content("content", texts[0].content, settings) or {"content": content}
    elif content:
        body["content"] = content
    if calls := [_call(part, settings) for part in response.parts if isinstance(part, ToolCallPart)]:
        body["tool_calls"] = calls
    return [_event("gen_ai.assistant.message", body)] if len(body) > 1 else []


def events_attribute(events: Iterable[LogRecord]) -> str:
    """Events as one attribute of a span."""
    return json.dumps([as_dict(event) for event in events], ensure_ascii=False)


def as_dict(event: LogRecord) -> Json:
    """An event as plain data."""
    body = to_jsonable_python(event.body, serialize_unknown=True, bytes_mode="base64")
    return {**body, **(event.attributes or {})}


def _event(name: str, body: Json) -> LogRecord:
    return LogRecord(attributes={"event.name": name}, body=body)


def _instructions(messages: list[ModelMessage], parameters: ModelRequestParameters | None) -> str | None:
    if parameters is not None:
        return Model.get_instructions(messages, parameters)
    newest = next((message for message in reversed(messages) if isinstance(message, ModelRequest)), None)
    return newest.instructions if newest else None


def _request(request: ModelRequest, settings: InstrumentationSettings) -> list[LogRecord]:
    return [part_event(part, settings) for part in request.parts]


def part_event(part: ModelRequestPart | NativeToolReturnPart, settings: InstrumentationSettings) -> LogRecord:
    """A part of a request as a message of its role."""
    match part:
        case SystemPromptPart():
            return _event("gen_ai.system.message", {"role": "system", **_content("content", part.content, settings)})
        case UserPromptPart():
            return _event("gen_ai.user.message", {"role": "user", "content": _user_content(part, settings)})
        case ToolReturnPart() | NativeToolReturnPart():
            return _tool_message(part.tool_name, part.tool_call_id, part.content, settings)
        case RetryPromptPart(tool_name=str(name)):
            return _tool_message(name, part.tool_call_id, part.model_response(), settings)
        case RetryPromptPart():
            return _event(
                "gen_ai.user.message", {"role": "user", **_content("content", part.model_response(), settings)}
            )
        case _:
            return _event("gen_ai.user.message", {"role": "user", "content": {"kind": part.part_kind}})


def _tool_message(name: str, call_id: str, content: Any, settings: InstrumentationSettings) -> LogRecord:
    told = _content("content", as_data(content, settings), settings)
    body = {"role": "tool", "id": call_id, "name": name, **told}
    return _event("gen_ai.tool.message", body)


def _user_content(part: UserPromptPart, settings: InstrumentationSettings) -> Any:
    if isinstance(part.content, str):
        return _user_item(part.content, settings)
    return [_user_item(item, settings) for item in part.content if not isinstance(item, CachePoint)]


def _user_item(item: Any, settings: InstrumentationSettings) -> Any:
    if isinstance(item, str | TextContent):
        text = item if isinstance(item, str) else item.content
        return text if settings.include_content else {"kind": "text"}
    if isinstance(item, BinaryContent):
        return _binary(item, settings)
    url = _content("url", item.url, settings) if hasattr(item, "url") else {}
    return {"kind": item.kind, **url}


def _binary(content: BinaryContent, settings: InstrumentationSettings) -> Json:
    told: Json = {"kind": "binary", "media_type": content.media_type}
    if settings.include_content and settings.include_binary_content:
        told["binary_content"] = base64.b64encode(content.data).decode("ascii")
    return told


def _response_part(part: Any, settings: InstrumentationSettings) -> Json | None:
    if isinstance(part, TextPart):
        return {"kind": "text", **_content("text", part.content, settings)}
    if isinstance(part, ThinkingPart):
        return {"kind": "thinking", **_content("text", part.content, settings)}
    return _binary(part.content, settings) if part.part_kind == "file" else None


def _call(part: ToolCallPart, settings: InstrumentationSettings) -> Json:
    function = {"name": part.tool_name, **_content("arguments", part.args, settings)}
    return {"id": part.tool_call_id, "type": "function", "function": function}


def _content(name: str, value: Any, settings: InstrumentationSettings) -> Json:
    return {name: value} if settings.include_content else {}
