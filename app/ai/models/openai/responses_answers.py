"""What the Responses API answers, and what it becomes with us."""

from __future__ import annotations

import base64
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, ClassVar, NamedTuple, TypeAlias, cast

from pydantic import BaseModel, Field

from app.ai.messages import (
    BinaryContent,
    CompactionPart,
    FilePart,
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
from app.ai.models.openai.usage import TokenDetails, iso_time, whole_numbers
from app.ai.stamps import generate_tool_call_id
from app.ai.usage import RequestUsage

Item: TypeAlias = dict[str, Any]

RAW = "reasoning_text"
"""Marks thinking that is the model's own and not a summary of it."""

ITEM_TYPE = "type"
"""Where a call of a native tool keeps the type of its item."""

NATIVE_ITEMS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "web_search_call": ("web_search", ("action",)),
    "file_search_call": ("file_search", ("queries",)),
    "code_interpreter_call": ("code_execution", ("code", "container_id")),
    "image_generation_call": ("image_generation", ("revised_prompt",)),
    "mcp_call": ("mcp_server", ("server_label", "name", "arguments")),
    "mcp_list_tools": ("mcp_server", ("server_label",)),
    "tool_search_call": ("tool_search", ("arguments", "execution", "call_id")),
    "tool_search_output": ("tool_search", ()),
}
"""Items of native tools: the tool's name, and what of the item is its input."""


class Usage(BaseModel, extra="allow"):
    """Token counts."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None

    def as_request_usage(self) -> RequestUsage:
        """The counts under our names."""
        taken = self.input_tokens_details or TokenDetails()
        given = self.output_tokens_details or TokenDetails()
        return RequestUsage(
            input_tokens=self.input_tokens or 0,
            output_tokens=self.output_tokens or 0,
            cache_read_tokens=taken.cached_tokens or 0,
            cache_write_tokens=taken.cache_write_tokens or 0,
            input_audio_tokens=taken.audio_tokens or 0,
            output_audio_tokens=given.audio_tokens or 0,
            details=whole_numbers(self.__pydantic_extra__)
            | whole_numbers(given.model_dump(exclude={"cached_tokens", "cache_write_tokens"})),
        )


class Incomplete(BaseModel):
    """Why an answer broke off."""

    reason: str | None = None


class Response(ProviderAnswer):
    """An answer; at the head of a stream it is still empty."""

    beside: ClassVar[frozenset[str]] = frozenset({"id", "model", "usage", "service_tier", "incomplete_details"})

    id: str | None = None
    model: str | None = None
    created_at: Any = None
    status: str | None = None
    incomplete_details: Incomplete | None = None
    output: list[Item] = Field(default_factory=list[Item])
    usage: Usage | None = None
    service_tier: str | None = None

    @property
    def raw_finish_reason(self) -> str | None:
        """Why the answer ended, in the provider's words."""
        return (self.incomplete_details and self.incomplete_details.reason) or self.status


_FINISH_REASONS: Mapping[str, FinishReason] = {
    "completed": "stop",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
    "cancelled": "error",
    "failed": "error",
}


def finish_reason_of(response: Response, refusal: str) -> FinishReason | None:
    """Our name for the reason of the end, None for an unknown one."""
    return "content_filter" if refusal else _FINISH_REASONS.get(response.raw_finish_reason or "")


def provider_details(response: Response, refusal: str) -> dict[str, Any] | None:
    """What only this provider says about an answer."""
    details = {
        "finish_reason": response.raw_finish_reason,
        "timestamp": iso_time(response.created_at),
        "service_tier": response.service_tier,
        "refusal": refusal,
    }
    return {key: value for key, value in details.items() if value} or None


def to_response(response: Response, *, model_name: str, provider_name: str, provider_url: str) -> ModelResponse:
    """A whole answer as our response."""
    refusal = "".join(map(refusal_in, response.output))
    return ModelResponse(
        parts=[placed.part for item in response.output for placed in parts_of(item, provider_name)],
        usage=response.usage.as_request_usage() if response.usage else RequestUsage(),
        model_name=response.model or model_name,
        provider_name=provider_name,
        provider_url=provider_url,
        provider_details=provider_details(response, refusal),
        provider_response_id=response.id,
        finish_reason=finish_reason_of(response, refusal),
    )


def refusal_in(item: Item) -> str:
    """What the model said to refuse."""
    content = cast("list[Item]", item.get("content") or []) if item.get("type") == "message" else []
    return "".join(piece.get("refusal") or "" for piece in content)


class PlacedPart(NamedTuple):
    """A part and its place in the item, by which the pieces of a stream name it, too."""

    place: Hashable
    part: ModelResponsePart


def parts_of(item: Item, provider_name: str) -> Iterator[PlacedPart]:
    """A finished item as our parts."""
    match item:
        case {"type": "message"}:
            yield from _texts(item, provider_name)
        case {"type": "reasoning"}:
            yield from _thoughts(item, provider_name)
        case {"type": "function_call"}:
            yield PlacedPart("call", call_of(item, provider_name))
        case {"type": "compaction"}:
            details = {"encrypted_content": item.get("encrypted_content")}
            part = CompactionPart(id=item.get("id"), provider_name=provider_name, provider_details=details)
            yield PlacedPart("compaction", part)
        case _:
            yield from _native(item, provider_name)


def call_of(item: Item, provider_name: str) -> ToolCallPart:
    """A call, or the start of one."""
    namespace = item.get("namespace")
    return ToolCallPart(
        item["name"],
        item.get("arguments") or None,
        item["call_id"],
        id=item.get("id"),
        provider_name=provider_name,
        provider_details={"namespace": namespace} if namespace else None,
    )


def _texts(item: Item, provider_name: str) -> Iterator[PlacedPart]:
    for index, content in enumerate(item.get("content") or []):
        if content.get("type") == "output_text":
            kept = {"annotations": content.get("annotations"), "logprobs": content.get("logprobs")}
            kept["phase"] = item.get("phase")
            part = TextPart(
                content.get("text") or "",
                id=item.get("id"),
                provider_name=provider_name,
                provider_details={key: value for key, value in kept.items() if value} or None,
            )
            yield PlacedPart(("text", index), part)


def _thoughts(item: Item, provider_name: str) -> Iterator[PlacedPart]:
    """One part for each summary and each text, and one if there is neither; the first carries the encrypted whole."""
    summaries: list[Item] = item.get("summary") or []
    texts: list[Item] = item.get("content") or []
    thoughts = [(("summary", index), piece.get("text") or "", None) for index, piece in enumerate(summaries)]
    thoughts += [((RAW, index), piece.get("text") or "", {"kind": RAW}) for index, piece in enumerate(texts)]
    signature = item.get("encrypted_content")
    for place, text, details in thoughts or [(("summary", 0), "", None)]:
        part = ThinkingPart(
            text, id=item.get("id"), signature=signature, provider_name=provider_name, provider_details=details
        )
        signature = None
        yield PlacedPart(place, part)


def _native(item: Item, provider_name: str) -> Iterator[PlacedPart]:
    kind = item.get("type", "")
    name, inputs = NATIVE_ITEMS.get(kind, (kind.removesuffix("_call"), ()))
    if label := item.get("server_label"):
        name = f"{name}:{label}"
    call_id = item.get("id") or generate_tool_call_id()
    args = {key: item[key] for key in inputs if key in item}
    hidden = {"id", "type", "result", *inputs}
    rest = {key: value for key, value in item.items() if key not in hidden}
    yield PlacedPart(
        "call",
        NativeToolCallPart(name, args, call_id, provider_name=provider_name, provider_details={ITEM_TYPE: kind}),
    )
    yield PlacedPart("return", NativeToolReturnPart(name, rest, call_id, provider_name=provider_name))
    if kind == "image_generation_call" and item.get("result"):
        media_type = f"image/{item.get('output_format') or 'png'}"
        image = BinaryContent.narrow_type(BinaryContent(base64.b64decode(item["result"]), media_type=media_type))
        yield PlacedPart("file", FilePart(image, id=call_id, provider_name=provider_name))
