"""What a Chat Completions server answers, and what it becomes with us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import FinishReason, ModelResponse, ModelResponsePart, TextPart, ThinkingPart, ToolCallPart
from app.ai.models.answers import ProviderAnswer
from app.ai.models.openai.additions import REASONING_DETAILS, Additions, merge_reasoning_details
from app.ai.models.openai.messages import THINKING_FIELDS
from app.ai.stamps import generate_tool_call_id
from app.ai.thinking_tags import TextPiece, split_thinking
from app.ai.usage import RequestUsage


class TokenDetails(BaseModel, extra="allow"):
    """A breakdown of a token count."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class Usage(BaseModel):
    """Token counts."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    cost: Any = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None

    def as_request_usage(self) -> RequestUsage:
        """The counts under our names."""
        prompt = self.prompt_tokens_details or TokenDetails()
        completion = self.completion_tokens_details or TokenDetails()
        details = completion.model_dump(exclude={"cached_tokens", "cache_write_tokens"})
        return RequestUsage(
            input_tokens=self.prompt_tokens or 0,
            output_tokens=self.completion_tokens or 0,
            cache_read_tokens=prompt.cached_tokens or self.prompt_cache_hit_tokens or self.cached_tokens or 0,
            cache_write_tokens=prompt.cache_write_tokens or 0,
            input_audio_tokens=prompt.audio_tokens or 0,
            output_audio_tokens=completion.audio_tokens or 0,
            details={key: value for key, value in details.items() if isinstance(value, int)},
        )


class CalledFunction(BaseModel):
    """The function of a tool call, or a piece of it."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class ToolCall(BaseModel):
    """A tool call, or a piece of it."""

    index: int | None = None
    id: str | None = None
    function: CalledFunction


class AnswerMessage(BaseModel, extra="allow"):
    """The message of an answer, or a piece of it. Some servers give the content as a list of typed items."""

    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    annotations: list[Any] | None = None
    reasoning_details: list[dict[str, Any]] | None = None
    executed_tools: list[dict[str, Any]] | None = None

    def thinking(self) -> tuple[str, str] | None:
        """The field that holds thinking, and what is in it."""
        return next(((field, text) for field in THINKING_FIELDS if (text := getattr(self, field))), None)

    def pieces(self) -> Iterator[TextPiece]:
        """The content as text and thinking."""
        if isinstance(self.content, str):
            yield TextPiece("text", self.content)
            return
        for item in self.content or []:
            if item.get("type") == "thinking":
                thoughts: Any = item.get("thinking") or []
                yield TextPiece("thinking", "".join(str(thought.get("text", "")) for thought in thoughts))
            elif isinstance(text := item.get("text"), str):
                yield TextPiece("text", text)


class Choice(BaseModel):
    """One answer of a completion."""

    index: int = 0
    message: AnswerMessage
    finish_reason: str | None = None


class GroqUsage(BaseModel):
    """Where Groq puts the usage of a stream."""

    usage: Usage | None = None


class AnswerHead(ProviderAnswer):
    """What stands around an answer, whole or in pieces."""

    id: str | None = None
    model: str | None = None
    created: float | None = None
    usage: Usage | None = None
    x_groq: GroqUsage | None = None
    provider: Any = None
    citations: Any = None
    search_results: Any = None

    @property
    def given_usage(self) -> Usage | None:
        """The usage, wherever the server put it."""
        return self.usage or (self.x_groq and self.x_groq.usage)

    def note_sources(self, additions: Additions) -> bool:
        """Hand over what the server did to answer; say whether there was anything new."""
        if not (self.usage or self.provider or self.citations or self.search_results or self.x_groq):
            return False  # nearly every piece of a stream
        cost = self.given_usage and self.given_usage.cost
        return additions.note_sources(
            downstream_provider=self.provider, citations=self.citations, search_results=self.search_results, cost=cost
        )


class Completion(AnswerHead):
    """A whole answer."""

    choices: list[Choice]


class ChunkChoice(BaseModel):
    """A piece of one answer."""

    index: int = 0
    delta: AnswerMessage | None = None
    finish_reason: str | None = None


class Chunk(AnswerHead):
    """A piece of a streamed answer."""

    choices: list[ChunkChoice] | None = None


_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "length": "length",
    "model_length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "error": "error",
    "insufficient_system_resource": "error",
}


def finish_reason_of(reason: str | None) -> FinishReason | None:
    """Our name for a finish reason, None for an unknown one."""
    return _FINISH_REASONS.get(reason or "")


def to_response(
    completion: Completion, *, model_name: str, provider_name: str, provider_url: str, thinking_tags: tuple[str, str]
) -> ModelResponse:
    """A whole answer as our response."""
    if not completion.choices:
        raise UnexpectedModelBehavior(f"{model_name} answered without any choices", completion.model_dump_json())
    choice = completion.choices[0]
    additions, message, usage = Additions(), choice.message, completion.given_usage
    additions.note(message.annotations, message.executed_tools)
    completion.note_sources(additions)
    details = provider_details(completion.created, choice.finish_reason, message.refusal) or {}
    return ModelResponse(
        parts=[*_parts(message, provider_name, thinking_tags), *additions.native_parts(provider_name)],
        usage=usage.as_request_usage() if usage else RequestUsage(),
        model_name=completion.model or model_name,
        provider_name=provider_name,
        provider_url=provider_url,
        provider_details=details | additions.details() or None,
        provider_response_id=completion.id,
        finish_reason="content_filter" if message.refusal else finish_reason_of(choice.finish_reason),
    )


def provider_details(created: float | None, finish_reason: str | None, refusal: str | None) -> dict[str, Any] | None:
    """What only this provider says about an answer; its own time is ISO text, so that JSON keeps it."""
    details: dict[str, Any] = {
        "finish_reason": finish_reason,
        "timestamp": created and datetime.fromtimestamp(created, tz=UTC).isoformat(),
        "refusal": refusal,
    }
    return {key: value for key, value in details.items() if value} or None


def _parts(message: AnswerMessage, provider_name: str, tags: tuple[str, str]) -> Iterator[ModelResponsePart]:
    details = merge_reasoning_details([], message.reasoning_details or [])
    if (thinking := message.thinking()) or details:
        field, thought = thinking or ("reasoning", "")
        kept = {REASONING_DETAILS: details} if details else None
        yield ThinkingPart(thought, id=field, provider_name=provider_name, provider_details=kept)
    for piece in message.pieces():
        split = split_thinking(piece.content, tags) if piece.kind == "text" else [piece]
        yield from (_text_part(part, provider_name) for part in split if part.content)
    for call in message.tool_calls or []:
        if not call.function.name:
            raise UnexpectedModelBehavior("The model called a tool without naming it", call.model_dump_json())
        yield ToolCallPart(call.function.name, call.function.arguments, call.id or generate_tool_call_id())


def _text_part(piece: TextPiece, provider_name: str) -> TextPart | ThinkingPart:
    if piece.kind == "text":
        return TextPart(piece.content)
    return ThinkingPart(piece.content, provider_name=provider_name)
