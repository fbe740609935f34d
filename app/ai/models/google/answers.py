"""What the Gemini API answers, whole or in pieces, and what it becomes with us."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from app.ai.messages import (
    BinaryContent,
    FilePart,
    FinishReason,
    ModelResponsePart,
    ModelResponseStreamEvent,
    NativeToolCallPart,
    NativeToolReturnPart,
    ToolCallPart,
)
from app.ai.models.answers import ProviderAnswer
from app.ai.models.google.contents import SIGNATURE, TOOL_TYPE, Part
from app.ai.models.google.partial_args import PartialArgs
from app.ai.parts import ModelResponsePartsManager
from app.ai.stamps import generate_tool_call_id
from app.ai.usage import RequestUsage


class CandidateContent(BaseModel):
    """The content of a candidate; a blocked one has none."""

    parts: list[dict[str, Any]] | None = None


class Candidate(BaseModel):
    """One answer, or a piece of it."""

    content: CandidateContent | None = None
    finish_reason: str | None = Field(None, alias="finishReason")
    finish_message: str | None = Field(None, alias="finishMessage")
    safety_ratings: list[dict[str, Any]] | None = Field(None, alias="safetyRatings")
    grounding_metadata: dict[str, Any] | None = Field(None, alias="groundingMetadata")
    url_context_metadata: dict[str, Any] | None = Field(None, alias="urlContextMetadata")
    citation_metadata: dict[str, Any] | None = Field(None, alias="citationMetadata")
    logprobs_result: dict[str, Any] | None = Field(None, alias="logprobsResult")
    avg_logprobs: float | None = Field(None, alias="avgLogprobs")


class Answer(ProviderAnswer):
    """An answer, or a piece of it."""

    beside: ClassVar[frozenset[str]] = frozenset({"usageMetadata", "modelVersion", "responseId"})

    candidates: list[Candidate] | None = None
    prompt_feedback: dict[str, Any] | None = Field(None, alias="promptFeedback")
    usage: dict[str, Any] | None = Field(None, alias="usageMetadata")
    model: str | None = Field(None, alias="modelVersion")
    id: str | None = Field(None, alias="responseId")


_BLOCKED = (
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE"),
    *("IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
)
_BROKEN = (
    *("MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"),
    *("MISSING_THOUGHT_SIGNATURE", "NO_IMAGE"),
)
_FINISH_REASONS: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    **dict.fromkeys(_BLOCKED, "content_filter"),
    **dict.fromkeys(_BROKEN, "error"),
}

_COUNTED_BY_MODALITY = ("prompt", "cache", "candidates", "toolUsePrompt")


def usage_of(counts: Mapping[str, Any]) -> RequestUsage:
    """The counts under our names. The API counts thoughts, and what its tools read, apart; both are paid for."""
    details = {_snake(key): value for key, value in counts.items() if key.endswith("TokenCount") and value}
    details |= _by_modality(counts)
    tools, thoughts = counts.get("toolUsePromptTokenCount") or 0, counts.get("thoughtsTokenCount") or 0
    return RequestUsage(
        input_tokens=(counts.get("promptTokenCount") or 0) + tools,
        output_tokens=(counts.get("candidatesTokenCount") or 0) + thoughts,
        cache_read_tokens=counts.get("cachedContentTokenCount") or 0,
        input_audio_tokens=_audio(counts.get("promptTokensDetails")),
        cache_audio_read_tokens=_audio(counts.get("cacheTokensDetails")),
        output_audio_tokens=_audio(counts.get("candidatesTokensDetails")),
        details=details,
    )


def _by_modality(counts: Mapping[str, Any]) -> dict[str, int]:
    details: dict[str, int] = {}
    for kind in _COUNTED_BY_MODALITY:
        items: list[dict[str, Any]] = counts.get(f"{kind}TokensDetails") or []
        details |= {f"{str(item.get('modality')).lower()}_{_snake(kind)}": item.get("tokenCount", 0) for item in items}
    return {key: count for key, count in details.items() if count}


@cache
def _snake(key: str) -> str:
    words = key.removesuffix("TokenCount")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in words) + "_tokens"


def _audio(by_modality: list[dict[str, Any]] | None) -> int:
    return sum(item.get("tokenCount", 0) for item in by_modality or [] if item.get("modality") == "AUDIO")


_TOOLS = {
    "GOOGLE_SEARCH_WEB": "web_search",
    "GOOGLE_SEARCH_IMAGE": "image_search",
    "URL_CONTEXT": "web_fetch",
    "FILE_SEARCH": "file_search",
    "CODE_EXECUTION": "code_execution",
}


class AnswerReader:
    """Takes an answer in, piece by piece, and remembers what stands beside its parts."""

    def __init__(self, parts_manager: ModelResponsePartsManager, provider_name: str):
        self._manager = parts_manager
        self._provider_name = provider_name
        self._newest_kind: str | None = None
        self._place = 0
        self._counts: dict[str, Any] = {}
        self.usage = RequestUsage()
        self._details: dict[str, Any] = {}
        self._newest_code_id: str | None = None
        self._open_call: PartialArgs | None = None
        self._newest_tool_id = ""
        self._told_tools: set[str] = set()
        self.id: str | None = None
        self.model: str | None = None
        self.ended = False

    @property
    def finish_reason(self) -> FinishReason | None:
        """Why the answer ended, None while it has not and for a reason that we do not know."""
        if "block_reason" in self._details:
            return "content_filter"
        return _FINISH_REASONS.get(self._details.get("finish_reason", ""))

    @property
    def provider_details(self) -> dict[str, Any] | None:
        """What only this provider says about an answer."""
        return {**self._details} or None

    def take(self, answer: Answer) -> list[ModelResponseStreamEvent]:
        """Take an answer or a piece of it in."""
        self.id, self.model = self.id or answer.id, self.model or answer.model
        if answer.usage and answer.usage != self._counts:
            # Counts are totals, so the newest hold.
            self._counts |= answer.usage
            self.usage = usage_of(self._counts)
        if block_reason := (answer.prompt_feedback or {}).get("blockReason"):
            self._details |= {"block_reason": block_reason, "prompt_feedback": answer.prompt_feedback}
            self.ended = True
        events: list[ModelResponseStreamEvent] = []
        for candidate in (answer.candidates or [])[:1]:
            for part in (candidate.content and candidate.content.parts) or []:
                events += self._take_part(part)
            self._note(candidate)
        return events

    def finish(self) -> list[ModelResponseStreamEvent]:
        """Take the end in: what the provider's own tools did is told beside the answer."""
        found: dict[str, Any] = self._details.get("grounding_metadata") or {}
        fetched: dict[str, Any] = self._details.get("url_context_metadata") or {}
        chunks: list[dict[str, Any]] = found.get("groundingChunks") or []
        events: list[ModelResponseStreamEvent] = []
        if queries := found.get("webSearchQueries"):
            events += self._native("web_search", {"queries": queries}, found.get("groundingChunks"))
        elif any("retrievedContext" in chunk for chunk in chunks):
            events += self._native("file_search", {"queries": found.get("retrievalQueries") or []}, chunks)
        if pages := fetched.get("urlMetadata"):
            events += self._native("web_fetch", {"urls": [page.get("retrievedUrl") for page in pages]}, pages)
        return events

    def _note(self, candidate: Candidate) -> None:
        noted = candidate.model_dump(exclude={"content"}, exclude_none=True)
        self._details |= noted
        self.ended = self.ended or candidate.finish_reason is not None

    def _native(self, name: str, args: dict[str, Any], content: Any) -> list[ModelResponseStreamEvent]:
        if name in self._told_tools:
            return []  # the answer itself told it
        call = NativeToolCallPart(name, args, provider_name=self._provider_name)
        result = NativeToolReturnPart(name, content, call.tool_call_id, provider_name=self._provider_name)
        return [*self._whole(call), *self._whole(result)]

    def _take_part(self, part: Part) -> list[ModelResponseStreamEvent]:
        signature = part.get("thoughtSignature")
        details = {SIGNATURE: signature} if signature else None
        match part:
            case {"text": str(text)}:
                return self._take_text(text, details, thought=part.get("thought", False))
            case {"functionCall": call} if self._open_call or "partialArgs" in call or call.get("willContinue"):
                return self._take_piece_of_call(call, details)
            case {"functionCall": {"name": str(name), **call}}:
                made = ToolCallPart(name, call.get("args") or {}, call.get("id") or generate_tool_call_id())
            case {"inlineData": {"mimeType": str(media_type), "data": str(data)}}:
                made = FilePart(BinaryContent.narrow_type(BinaryContent(base64.b64decode(data), media_type=media_type)))
            case {"toolCall": _} | {"toolResponse": _}:
                return self._take_native(part, details)
            case {"executableCode": _}:
                made = NativeToolCallPart("code_execution", part["executableCode"])
                self._newest_code_id = made.tool_call_id
            case {"codeExecutionResult": result}:
                made = NativeToolReturnPart("code_execution", result, self._newest_code_id or generate_tool_call_id())
            case _:
                return []
        if details or not isinstance(made, ToolCallPart):
            made.provider_name, made.provider_details = self._provider_name, details
        return self._whole(made)

    def _take_piece_of_call(self, call: Part, details: dict[str, Any] | None) -> list[ModelResponseStreamEvent]:
        events: list[ModelResponseStreamEvent] = []
        if self._open_call is None:
            made = ToolCallPart(call["name"], None, call.get("id") or generate_tool_call_id())
            if details:
                made.provider_name, made.provider_details = self._provider_name, details
            self._open_call = PartialArgs()
            events += self._whole(made)
        self._open_call.take(call.get("partialArgs") or [])
        if not call.get("willContinue"):
            # Values of paths are no JSON text that grows, so the arguments are told when they are complete.
            args, self._open_call = self._open_call.args, None
            events += self._manager.handle_tool_call_delta(vendor_part_id=self._place, args=args)
        return events

    def _take_native(self, part: Part, details: dict[str, Any] | None) -> list[ModelResponseStreamEvent]:
        told: dict[str, Any] = part.get("toolCall") or part.get("toolResponse") or {}
        tool_type = str(told.get("toolType", ""))
        name = _TOOLS.get(tool_type, tool_type.lower() or "tool")
        self._told_tools.add(name)
        if "toolCall" in part or not self._newest_tool_id:
            self._newest_tool_id = generate_tool_call_id()
        call_id = told.get("id") or self._newest_tool_id
        if "toolCall" in part:
            made = NativeToolCallPart(name, told.get("args"), call_id)
        else:
            made = NativeToolReturnPart(name, told.get("response"), call_id)
        made.provider_name, made.provider_details = self._provider_name, {**(details or {}), TOOL_TYPE: tool_type}
        return self._whole(made)

    def _whole(self, part: ModelResponsePart) -> list[ModelResponseStreamEvent]:
        self._newest_kind = None
        self._place += 1
        return self._manager.handle_part(vendor_part_id=self._place, part=part)

    def _take_text(self, text: str, details: dict[str, Any] | None, *, thought: bool) -> list[ModelResponseStreamEvent]:
        if not text and not details:
            return []
        kind = "thinking" if thought else "text"
        if kind != self._newest_kind:
            self._place += 1
        # A signature is for all that came before it, so what follows is another part.
        self._newest_kind = None if details else kind
        if thought:
            return self._manager.handle_thinking_delta(
                vendor_part_id=self._place,
                content=text,
                provider_name=self._provider_name,
                provider_details=details,
            )
        return self._manager.handle_text_delta(
            vendor_part_id=self._place,
            content=text,
            provider_name=self._provider_name if details else None,
            provider_details=details,
        )
