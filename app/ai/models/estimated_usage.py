"""Word counts in place of token counts, for models that run without a provider."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from app.ai.messages import (
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelRequest,
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
    UserPromptPart,
)
from app.ai.usage import RequestUsage

_OVERHEAD = 50
_BETWEEN_WORDS = re.compile(r'[\s",.:]+')


def estimate_usage(messages: Iterable[ModelMessage]) -> RequestUsage:
    """The usage of a whole exchange: a fixed overhead and the words of the requests in, those of the responses out."""
    requests: list[Any] = []
    responses: list[ModelResponsePart] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            requests += message.parts
        else:
            responses += message.parts
    return RequestUsage(
        input_tokens=_OVERHEAD + sum(map(_words_of, requests)), output_tokens=sum(map(_words_of, responses))
    )


def estimate_text(text: str) -> int:
    """The words of a text."""
    text = text.strip()
    return len(_BETWEEN_WORDS.split(text)) if text else 0


def _words_of(part: Any) -> int:
    match part:
        case TextPart() | ThinkingPart() | SystemPromptPart() | TextContent():
            words = estimate_text(part.content)
        case UserPromptPart(content=str(text)) | str(text):
            words = estimate_text(text)
        case UserPromptPart():
            words = sum(map(_words_of, part.content))
        case ToolReturnPart() | NativeToolReturnPart():
            words = estimate_text(part.model_response_str())
        case RetryPromptPart():
            words = estimate_text(part.model_response())
        case ToolCallPart() | NativeToolCallPart():
            words = 1 + estimate_text(part.args_as_json_str())  # one for the name
        case BinaryContent(data=data) | FilePart(content=BinaryContent(data=data)):
            words = len(data)
        case _:
            words = 0
    return words
