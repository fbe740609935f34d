"""What an MCP tool answered, as a tool of ours would have returned it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic_core import from_json

from app.ai.messages import BinaryContent

if TYPE_CHECKING:
    from mcp_types import BlobResourceContents, CallToolResult, ContentBlock, TextResourceContents

ToolResult: TypeAlias = Any
"""A JSON value, or text and `BinaryContent`, alone or in a list."""


def tool_result(result: CallToolResult, linked: Mapping[str, Any] | None = None) -> ToolResult:
    """The result's structured value if it has one and nothing but text beside it, else its content.

    Text that is a JSON object or array becomes that value; a link becomes what is `linked`, if its address is there.
    """
    if result.structured_content is not None and all(block.type == "text" for block in result.content):
        return _without_wrapper(result.structured_content)
    content = [_content(block, linked or {}) for block in result.content]
    return content[0] if len(content) == 1 else content or None


def links_of(result: CallToolResult) -> list[str]:
    """The addresses of the resources that a result links to."""
    return [str(block.uri) for block in result.content if block.type == "resource_link"]


def text_of(result: CallToolResult) -> str:
    """The text of a result, as an error message."""
    return "\n".join(block.text for block in result.content if block.type == "text")


def _without_wrapper(value: Any) -> Any:
    """Servers must answer with an object, so theirs wrap any other value as `{"result": value}`."""
    match value:
        case {"result": inner, **others} if not others:
            return inner
        case _:
            return value


def _content(block: ContentBlock, linked: Mapping[str, Any]) -> Any:
    match block.type:
        case "text":
            return _json_or_text(block.text)
        case "image" | "audio":
            return BinaryContent(data=base64.b64decode(block.data), media_type=block.mime_type)
        case "resource":
            return resource_content(block.resource)
        case "resource_link":
            link = block.model_dump(mode="json", exclude_none=True)
            return linked.get(str(block.uri), link)


def _json_or_text(text: str) -> Any:
    if text.startswith(("{", "[")):
        with suppress(ValueError):
            return from_json(text)
    return text


def resource_content(resource: TextResourceContents | BlobResourceContents) -> str | BinaryContent:
    """What a resource holds."""
    # Only one of the two kinds has text; asking for their classes would import the SDK.
    text: str | None = getattr(resource, "text", None)
    if text is not None:
        return text
    blob: str = getattr(resource, "blob", "")
    return BinaryContent(data=base64.b64decode(blob), media_type=resource.mime_type or "application/octet-stream")
