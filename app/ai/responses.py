"""Reading a response that holds no tool calls."""

from __future__ import annotations

from app.ai.exceptions import ContentFilterError, UnexpectedModelBehavior
from app.ai.messages import (
    CompactionPart,
    ModelMessagesTypeAdapter,
    ModelResponse,
    NativeToolCallPart,
    RetryPromptPart,
    TextPart,
)


def text_of(response: ModelResponse) -> str:
    """The text after the last call of a provider's own tool; a readable summary if there is no text."""
    text, summary = "", ""
    for part in response.parts:
        match part:
            case TextPart():
                text += part.content
            case NativeToolCallPart():
                text = ""
            case CompactionPart():
                summary += part.content or ""
            case _:
                pass
    return text or summary


def retry_parts(response: ModelResponse, reason: str) -> list[RetryPromptPart]:
    """The retry of a whole response; each of its tool calls needs an answer of its own."""
    if not response.tool_calls:
        return [RetryPromptPart(reason)]
    return [
        RetryPromptPart(reason, tool_name=call.tool_name, tool_call_id=call.tool_call_id)
        for call in response.tool_calls
    ]


def token_limit_reached(response: ModelResponse, max_tokens: int | None) -> UnexpectedModelBehavior:
    """Why a run fails when the token limit left no content."""
    given = "only thinking" if response.parts else "nothing"
    limit = f"its token limit of {max_tokens}" if max_tokens else "the token limit that is its provider's default"
    return UnexpectedModelBehavior(
        f"The model reached {limit} and had given {given} until then; raise `max_tokens` in the model settings"
    )


def content_filtered(response: ModelResponse) -> ContentFilterError:
    """Why a run fails when the provider's filter left no content."""
    details = response.provider_details or {}
    reason = details.get("refusal") or details.get("block_reason") or details.get("finish_reason") or "no reason given"
    body = ModelMessagesTypeAdapter.dump_json([response]).decode()
    return ContentFilterError(f"The provider's content filter stopped the response: {reason}", body)
