"""Messages in the form of OpenTelemetry's conventions for generative AI."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from app.ai.instrumentation.settings import InstrumentationSettings, as_data
from app.ai.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    FilePart,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
    VideoUrl,
)

Json = dict[str, Any]
Role = Literal["system", "user", "assistant"]

_STANDARD_FILES = 4
"""The first version with the conventions' form of files."""


@dataclass(frozen=True)
class MessageFormat:
    """How messages are told, as the settings say."""

    settings: InstrumentationSettings

    def messages(self, messages: Iterable[ModelMessage]) -> list[Json]:
        """All messages; a request may hold several roles and then becomes several messages."""
        told: list[Json] = []
        for message in messages:
            told += [self.response(message)] if isinstance(message, ModelResponse) else self._request(message)
        return told

    def response(self, response: ModelResponse) -> Json:
        """A response as a message of the assistant."""
        told: Json = {"role": "assistant", "parts": [*self._response_parts(response.parts)]}
        return {**told, "finish_reason": response.finish_reason} if response.finish_reason else told

    def parts_of(self, told: ModelResponse | ModelRequestPart | NativeToolReturnPart) -> list[Json]:
        """A response's parts, or what a part becomes."""
        match told:
            case ModelResponse(parts=parts):
                return [*self._response_parts(parts)]
            case NativeToolReturnPart():
                return [*self._response_parts([told])]
            case _:
                return self._request_part(told)

    def instructions(self, instructions: str) -> list[Json]:
        """Instructions, which are no message."""
        return [self._text(instructions)]

    def _request(self, request: ModelRequest) -> list[Json]:
        by_role = groupby(request.parts, key=_role)
        return [
            {"role": role, "parts": [told for part in parts for told in self._request_part(part)]}
            for role, parts in by_role
        ]

    def _request_part(self, part: ModelRequestPart) -> list[Json]:
        match part:
            case SystemPromptPart(content=str(text)) | UserPromptPart(content=str(text)):
                return [self._text(text)]
            case UserPromptPart():
                return self._user_contents(part.content)
            case ToolReturnPart():
                return [self._tool_result(part.tool_name, part.tool_call_id, part.content)]
            case RetryPromptPart(tool_name=str(name)):
                return [self._tool_result(name, part.tool_call_id, part.model_response())]
            case RetryPromptPart():
                return [self._text(part.model_response())]
            case _:
                return [{"type": part.part_kind}]

    def _user_contents(self, contents: Sequence[UserContent]) -> list[Json]:
        return [told for content in contents if (told := self._user_content(content)) is not None]

    def _user_content(self, content: UserContent) -> Json | None:
        match content:
            case str():
                return self._text(content)
            case TextContent():
                return self._text(content.content)
            case BinaryContent():
                return self._binary(content)
            case ImageUrl() | AudioUrl() | VideoUrl() | DocumentUrl():
                return self._url(content)
            case _:
                return None if content.kind == "cache-point" else {"type": content.kind}

    def _response_parts(self, parts: Iterable[ModelResponsePart]) -> Iterable[Json]:
        for part in parts:
            match part:
                case TextPart():
                    yield self._text(part.content)
                case ThinkingPart():
                    yield {"type": "thinking", **self._content("content", part.content)}
                case ToolCallPart() | NativeToolCallPart():
                    yield self._tool_call(part)
                case NativeToolReturnPart():
                    result = self._tool_result(part.tool_name, part.tool_call_id, part.content)
                    yield {**result, "builtin": True}
                case FilePart():
                    yield self._binary(part.content)
                case _:
                    yield {"type": part.part_kind}

    def _text(self, text: str) -> Json:
        return {"type": "text", **self._content("content", text)}

    def _tool_call(self, part: ToolCallPart | NativeToolCallPart) -> Json:
        native = {"builtin": True} if isinstance(part, NativeToolCallPart) else {}
        arguments = self._content("arguments", part.args) if part.args is not None else {}
        return {"type": "tool_call", "id": part.tool_call_id, "name": part.tool_name, **native, **arguments}

    def _tool_result(self, name: str, call_id: str, result: Any) -> Json:
        told = self._content("result", as_data(result, self.settings))
        return {"type": "tool_call_response", "id": call_id, "name": name, **told}

    def _url(self, file: ImageUrl | AudioUrl | VideoUrl | DocumentUrl) -> Json:
        if self.settings.version < _STANDARD_FILES:
            return {"type": file.kind, **self._content("url", file.url)}
        try:
            media_type = file.media_type
        except ValueError:  # an address need not tell what it leads to
            media_type = ""
        return {"type": "uri", **_kind_of_file(media_type), **self._content("uri", file.url)}

    def _binary(self, content: BinaryContent) -> Json:
        standard = self.settings.version >= _STANDARD_FILES
        told: Json = {"type": "blob", **_kind_of_file(content.media_type)} if standard else {"type": "binary"}
        if not standard:
            told["media_type"] = content.media_type
        if self.settings.include_content and self.settings.include_binary_content:
            told["content"] = base64.b64encode(content.data).decode("ascii")
        return told

    def _content(self, name: str, value: Any) -> Json:
        return {name: value} if self.settings.include_content else {}


def _role(part: ModelRequestPart) -> Role:
    return "system" if isinstance(part, SystemPromptPart) else "user"


def _kind_of_file(media_type: str) -> Json:
    kind = media_type.partition("/")[0]
    told: Json = {"modality": kind} if kind in ("image", "audio", "video") else {}
    return {**told, "mime_type": media_type} if media_type else told
