"""What the Messages API answers, and what it becomes with us."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from app.ai.messages import (
    CompactionPart,
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from app.ai.models.answers import ProviderAnswer
from app.ai.models.anthropic.messages import REDACTED, Block
from app.ai.usage import RequestUsage


class Message(ProviderAnswer):
    """An answer, whole or at the head of a stream."""

    beside: ClassVar[frozenset[str]] = frozenset(
        {"id", "model", "stop_sequence", "stop_details", "container", "context_management", "usage"}
    )

    id: str | None = None
    model: str | None = None
    content: list[dict[str, Any]] = Field(default_factory=list[dict[str, Any]])
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    container: dict[str, Any] | None = None
    context_management: dict[str, Any] | None = None
    usage: dict[str, Any] | None = None


_FINISH_REASONS: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
_NATIVE_TOOLS = {
    "bash_code_execution": "code_execution",
    "text_editor_code_execution": "code_execution",
    "tool_search_tool_bm25": "tool_search",
    "tool_search_tool_regex": "tool_search",
    "tool_search": "tool_search",
}


MAX_PAUSES = 10
"""How often an answer that paused is gone on with, before it is taken as it is."""


def is_paused(response: ModelResponse) -> bool:
    """Whether the provider stopped in the middle of a long turn and wants the answer sent back to go on with it."""
    return (response.provider_details or {}).get("finish_reason") == "pause_turn"


def finish_reason_of(reason: str | None) -> FinishReason | None:
    """Our name for a stop reason, None for an unknown one."""
    return _FINISH_REASONS.get(reason or "")


def provider_details(message: Message) -> dict[str, Any] | None:
    """What only this provider says about an answer."""
    details = {
        "finish_reason": message.stop_reason,
        "stop_sequence": message.stop_sequence,
        "stop_details": message.stop_details,
        "container": message.container,
        "service_tier": (message.usage or {}).get("service_tier"),
        "context_management": message.context_management,
    }
    return {key: value for key, value in details.items() if value} or None


def usage_of(counts: Mapping[str, Any] | None) -> RequestUsage:
    """The counts under our names. The API counts cached tokens apart from the input; with us they belong to it."""
    details = dict(_integers(counts or {}))
    cache_write = details.get("cache_creation_input_tokens", 0)
    cache_read = details.get("cache_read_input_tokens", 0)
    return RequestUsage(
        input_tokens=details.get("input_tokens", 0) + cache_write + cache_read,
        output_tokens=details.get("output_tokens", 0),
        cache_write_tokens=cache_write,
        cache_read_tokens=cache_read,
        details=details,
    )


def _integers(counts: Mapping[str, Any]) -> Mapping[str, int]:
    flat: dict[str, int] = {}
    for key, value in counts.items():
        if isinstance(value, dict):
            flat |= _integers(value)  # pyright: ignore[reportUnknownArgumentType]
        elif type(value) is int:
            flat[key] = value
    return flat


def to_response(message: Message, *, model_name: str, provider_name: str, provider_url: str) -> ModelResponse:
    """A whole answer as our response."""
    return ModelResponse(
        parts=[part for block in message.content if (part := part_of(block, provider_name))],
        usage=usage_of(message.usage),
        model_name=message.model or model_name,
        provider_name=provider_name,
        provider_url=provider_url,
        provider_details=provider_details(message),
        provider_response_id=message.id,
        finish_reason=finish_reason_of(message.stop_reason),
    )


def part_of(block: Block, provider_name: str) -> ModelResponsePart | None:
    """A block of the answer as our part; None for an empty text and for kinds that we do not know."""
    match block:
        case {"type": "text", "text": str(text)}:
            return _text(text, block.get("citations"), provider_name)
        case {"type": "thinking"}:
            signature = block.get("signature") or None
            return ThinkingPart(block.get("thinking") or "", signature=signature, provider_name=provider_name)
        case {"type": "redacted_thinking", "data": str(data)}:
            return ThinkingPart("", id=REDACTED, signature=data, provider_name=provider_name)
        case {"type": "tool_use", "name": str(name), "id": str(id)}:
            return _call(name, id, block, provider_name)
        case {"type": "compaction"}:
            return CompactionPart(block.get("content"), provider_name=provider_name)
        case _:
            return _native_part(block, provider_name)


def _text(text: str, citations: Any, provider_name: str) -> TextPart | None:
    if citations:
        return TextPart(text, provider_name=provider_name, provider_details={"citations": citations})
    return TextPart(text) if text else None


def _call(name: str, id: str, block: Block, provider_name: str) -> ToolCallPart:
    call = ToolCallPart(name, block.get("input"), id)
    caller: dict[str, Any] = block.get("caller") or {"type": "direct"}
    if caller.get("type") != "direct":
        # A call from the provider's sandbox has to go back with the name of its caller.
        call.provider_name, call.provider_details = provider_name, {"caller": caller}
    return call


def _native_part(block: Block, provider_name: str) -> ModelResponsePart | None:
    kind: str = block.get("type", "")
    # What is not a field of ours is kept, so that the block goes back as it came.
    details = {key: value for key, value in block.items() if key not in ("id", "input", "tool_use_id", "content")}
    if kind.endswith("tool_use") and "name" in block and "id" in block:
        name = _native_name(block["name"], block.get("server_name"))
        return NativeToolCallPart(
            name, block.get("input"), block["id"], provider_name=provider_name, provider_details=details
        )
    if block.get("tool_use_id"):
        name = _native_name(kind.removesuffix("_tool_result"), None)
        return NativeToolReturnPart(
            name, block.get("content"), block["tool_use_id"], provider_name=provider_name, provider_details=details
        )
    return None


def _native_name(name: str, server: str | None) -> str:
    if server is not None:
        return f"mcp_server:{server}"
    return "mcp_server" if name == "mcp" else _NATIVE_TOOLS.get(name, name)
