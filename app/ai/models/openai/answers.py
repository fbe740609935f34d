"""What a Chat Completions server answers, and what it becomes with us."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, Final

from pydantic import BaseModel

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import (
    FinishReason,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from app.ai.models.answers import ProviderAnswer, error_in_answer
from app.ai.models.openai.additions import (
    CUSTOM,
    EXTRA_CONTENT,
    REASONING_DETAILS,
    Additions,
    merge_reasoning_details,
)
from app.ai.models.openai.media import Audio, Speech, made_files
from app.ai.models.openai.messages import THINKING_FIELDS
from app.ai.models.openai.usage import Usage, iso_time
from app.ai.profiles.openai import OpenAIModelProfile
from app.ai.stamps import generate_tool_call_id
from app.ai.thinking_tags import TextPiece, split_thinking
from app.ai.usage import RequestUsage


class CalledFunction(BaseModel):
    """The function of a tool call, or a piece of it."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class CalledCustomTool(BaseModel):
    """A tool that takes free text."""

    name: str | None = None
    input: str | None = None


class ToolCall(BaseModel, extra="allow"):
    """A tool call, or a piece of it."""

    index: int | None = None
    id: str | None = None
    function: CalledFunction | None = None
    custom: CalledCustomTool | None = None
    extra_content: dict[str, Any] | None = None

    @property
    def details(self) -> dict[str, Any] | None:
        """What the call has to go back with."""
        extra = {EXTRA_CONTENT: self.extra_content} if self.extra_content else {}
        return {**extra, **({CUSTOM: True} if self.custom else {})} or None

    def as_part(self, provider_name: str) -> ToolCallPart | None:
        """A whole call; None for a kind that we do not know."""
        if self.custom:
            name, arguments = self.custom.name, {"input": self.custom.input or ""}
        elif self.function:
            name, arguments = self.function.name, self.function.arguments
        else:
            return None
        if not name:
            raise UnexpectedModelBehavior("The model called a tool without naming it", self.model_dump_json())
        call = ToolCallPart(name, arguments, self.id or generate_tool_call_id())
        if details := self.details:
            call.provider_name, call.provider_details = provider_name, details
        return call


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
    function_call: CalledFunction | None = None
    audio: Audio | None = None
    images: list[dict[str, Any]] | None = None

    def calls(self) -> Sequence[ToolCall]:
        """The tool calls; some servers still give a single one in the field that came before them."""
        if self.function_call and not self.tool_calls:
            return [ToolCall(function=self.function_call)]
        return self.tool_calls or ()

    def thinking(self, own_field: str | None) -> tuple[str, str] | None:
        """The field that holds thinking, and what is in it; `own_field` is one that only this server has."""
        if own_field and isinstance(thought := getattr(self, own_field, None), str) and thought:
            return own_field, thought
        return next(((field, text) for field in THINKING_FIELDS if (text := getattr(self, field))), None)

    def pieces(self) -> Iterator[TextPiece]:
        """The content as text and thinking."""
        if isinstance(self.content, str):
            yield TextPiece("text", self.content)
            return
        for item in self.content or []:
            if item.get("type") == "thinking":
                yield TextPiece("thinking", _thoughts(item.get("thinking") or []))
            elif isinstance(text := item.get("text"), str):
                yield TextPiece("text", text)


def _thoughts(thinking: str | list[dict[str, Any]]) -> str:
    if isinstance(thinking, str):
        return thinking
    return "".join(text for thought in thinking if isinstance(text := thought.get("text"), str))


class AnyChoice(BaseModel):
    """What stands around the message of one answer, whole or in pieces."""

    index: int | None = 0
    finish_reason: str | None = None
    logprobs: Any = None
    content_filter_results: Any = None
    error: Any = None


class Choice(AnyChoice):
    """One answer of a completion."""

    message: AnswerMessage | None = None


class GroqUsage(BaseModel):
    """Where Groq puts the usage of a stream."""

    usage: Usage | None = None


class AnswerHead(ProviderAnswer):
    """What stands around an answer, whole or in pieces."""

    beside: ClassVar[frozenset[str]] = frozenset(
        {"id", "model", "usage", "x_groq", "service_tier", "system_fingerprint"}
    )

    id: str | None = None
    model: str | None = None
    created: Any = None
    usage: Usage | None = None
    x_groq: GroqUsage | None = None
    provider: Any = None
    citations: Any = None
    search_results: Any = None
    service_tier: str | None = None
    system_fingerprint: str | None = None

    @property
    def given_usage(self) -> Usage | None:
        """The usage, wherever the server put it."""
        return self.usage or (self.x_groq and self.x_groq.usage)

    def note_sources(self, additions: Additions) -> bool:
        """Hand over what the server did to answer; say whether there was anything new."""
        head = (self.provider, self.service_tier, self.system_fingerprint)
        if head == additions.head and not (self.usage or self.citations or self.search_results or self.x_groq):
            return False  # nearly every piece of a stream
        additions.head = head
        cost = self.given_usage and self.given_usage.cost
        return additions.note_sources(
            downstream_provider=self.provider,
            citations=self.citations,
            search_results=self.search_results,
            cost=cost,
            service_tier=self.service_tier,
            system_fingerprint=self.system_fingerprint,
        )


class Completion(AnswerHead):
    """A whole answer."""

    choices: list[Choice]


class ChunkChoice(AnyChoice):
    """A piece of one answer."""

    delta: AnswerMessage | None = None


class Chunk(AnswerHead):
    """A piece of a streamed answer; or an error that stands where one should."""

    message: Any = None
    code: Any = None

    choices: list[ChunkChoice] | None = None


TAGGED: Final = "content"
"""The id of thinking that was in the text, as others have the name of their field."""

_FINISH_REASONS: Mapping[str, FinishReason] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "sensitive": "content_filter",
    "refusal": "content_filter",
    "error": "error",
    "network_error": "error",
    "insufficient_system_resource": "error",
}


def finish_reason_of(reason: str | None) -> FinishReason | None:
    """Our name for a finish reason, None for an unknown one."""
    return _FINISH_REASONS.get((reason or "").lower())


def to_response(
    completion: Completion, *, model_name: str, provider_name: str, provider_url: str, profile: OpenAIModelProfile
) -> ModelResponse:
    """A whole answer as our response."""
    if not completion.choices:
        raise UnexpectedModelBehavior(f"{model_name} answered without any choices", completion.model_dump_json())
    choice = completion.choices[0]
    if choice.error:
        raise error_in_answer(choice.error, model_name)
    additions, message, usage = Additions(), choice.message or AnswerMessage(), completion.given_usage
    speech = Speech()
    speech.add(message.audio)
    additions.note(message.annotations, message.executed_tools)
    additions.note_choice(choice.logprobs, choice.content_filter_results)
    completion.note_sources(additions)
    details = provider_details(completion.created, choice.finish_reason, message.refusal) or {}
    return ModelResponse(
        parts=[
            *_parts(message, provider_name, profile),
            *made_files(message.images, speech),
            *additions.native_parts(provider_name),
        ],
        usage=usage.as_request_usage() if usage else RequestUsage(),
        model_name=completion.model or model_name,
        provider_name=provider_name,
        provider_url=provider_url,
        provider_details=details | additions.details() or None,
        provider_response_id=completion.id,
        finish_reason="content_filter" if message.refusal else finish_reason_of(choice.finish_reason),
    )


def provider_details(created: object, finish_reason: str | None, refusal: str | None) -> dict[str, Any] | None:
    """What only this provider says about an answer; its own time is ISO text, so that JSON keeps it."""
    details: dict[str, Any] = {
        "finish_reason": finish_reason,
        "timestamp": iso_time(created),
        "refusal": refusal,
    }
    return {key: value for key, value in details.items() if value} or None


def _parts(message: AnswerMessage, provider_name: str, profile: OpenAIModelProfile) -> Iterator[ModelResponsePart]:
    details = merge_reasoning_details([], message.reasoning_details or [])
    if (thinking := message.thinking(profile.openai_chat_thinking_field)) or details:
        field, thought = thinking or ("reasoning", "")
        kept = {REASONING_DETAILS: details} if details else None
        yield ThinkingPart(thought, id=field, provider_name=provider_name, provider_details=kept)
    for piece in _merged(message.pieces()):
        split = split_thinking(piece.content, profile.thinking_tags) if piece.kind == "text" else [piece]
        yield from (_text_part(part, provider_name) for part in split if part.content)
    if message.audio and message.audio.transcript:
        yield TextPart(message.audio.transcript)
    yield from (part for call in message.calls() if (part := call.as_part(provider_name)))


def _merged(pieces: Iterable[TextPiece]) -> Iterator[TextPiece]:
    """Neighbours of a kind as one, as a stream's pieces are."""
    for _, neighbours in groupby(pieces, key=lambda piece: piece.kind):
        first, *others = neighbours
        yield first._replace(content="".join(piece.content for piece in (first, *others)))


def _text_part(piece: TextPiece, provider_name: str) -> TextPart | ThinkingPart:
    if piece.kind == "text":
        return TextPart(piece.content)
    return ThinkingPart(piece.content, id=TAGGED, provider_name=provider_name)
