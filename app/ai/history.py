"""Message histories: how they are tidied up, what is still open in them, and what is sent of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    RetryPromptPart,
    ToolCallPart,
    ToolReturnPart,
)
from app.ai.texts import INTERRUPTED_TOOL_CALL

__all__ = (
    "close_open_calls",
    "last_response",
    "merge_messages",
    "open_calls",
    "tidy_history",
    "with_output_tool_return",
    "with_unique_call_ids",
)


def merge_messages(messages: Iterable[ModelMessage]) -> list[ModelMessage]:
    """The messages with neighbours of one kind made one, as providers want them. No message is changed in place.

    Requests merge unless their instructions differ; responses only if none of them came from a provider.
    """
    merged: list[ModelMessage] = []
    for message in messages:
        previous = merged[-1] if merged else None
        if isinstance(message, ModelRequest) and isinstance(previous, ModelRequest):
            one = _merge_requests(previous, message)
        elif isinstance(message, ModelResponse) and isinstance(previous, ModelResponse):
            one = _merge_responses(previous, message)
        else:
            one = None
        if one is None:
            merged.append(message)
        else:
            merged[-1] = one
    return merged


def _merge_requests(first: ModelRequest, second: ModelRequest) -> ModelRequest | None:
    if first.instructions and second.instructions and first.instructions != second.instructions:
        return None
    parts = [*first.parts, *second.parts]
    # Providers want a tool's answer right after its call.
    parts.sort(key=lambda part: not isinstance(part, ToolReturnPart | RetryPromptPart))
    return replace(
        second,
        parts=parts,
        instructions=second.instructions or first.instructions,
        timestamp=second.timestamp or first.timestamp,
    )


def _merge_responses(first: ModelResponse, second: ModelResponse) -> ModelResponse | None:
    if any(message.model_name or message.provider_name or message.provider_response_id for message in (first, second)):
        return None
    return replace(second, parts=[*first.parts, *second.parts], usage=first.usage + second.usage)


def tidy_history(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """A history as a run starts from it: a new list, merged; calls of an interrupted response are closed."""
    history = merge_messages(messages)
    response = last_response(history)
    if response is not None and response.state != "complete":
        history[history.index(response)] = _with_readable_args(response)
        return close_open_calls(history)
    return history


def _with_readable_args(response: ModelResponse) -> ModelResponse:
    return replace(response, parts=[_readable(part) for part in response.parts])


def _readable(part: ModelResponsePart) -> ModelResponsePart:
    if not isinstance(part, ToolCallPart):
        return part
    try:
        part.args_as_dict(raise_if_invalid=True)
    except ValueError:
        # The stream broke off in the middle of the JSON, and a provider would refuse the fragment.
        return replace(part, args={})
    return part


def last_response(messages: Sequence[ModelMessage]) -> ModelResponse | None:
    """The newest response of a history."""
    return next((message for message in reversed(messages) if isinstance(message, ModelResponse)), None)


def open_calls(messages: Sequence[ModelMessage]) -> list[ToolCallPart]:
    """The tool calls of the last response that no later request answers."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, ModelResponse):
            return [call for call in message.tool_calls if call.tool_call_id not in answered]
        answered |= {part.tool_call_id for part in message.parts if isinstance(part, ToolReturnPart | RetryPromptPart)}
    return []


def close_open_calls(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The messages with every open tool call of the last response answered as failed, so that they can be continued."""
    closed = list(messages)
    calls = open_calls(closed)
    if not calls:
        return closed
    position = max(index for index, message in enumerate(closed) if isinstance(message, ModelResponse))
    response = closed[position]
    parts = [
        ToolReturnPart(call.tool_name, INTERRUPTED_TOOL_CALL, call.tool_call_id, outcome="failed") for call in calls
    ]
    answer = ModelRequest(
        parts, timestamp=response.timestamp, run_id=response.run_id, conversation_id=response.conversation_id
    )
    closed.insert(position + 1, answer)
    return closed


def with_unique_call_ids(response: ModelResponse) -> ModelResponse:
    """The response with a number added to each tool call id that occurred before in it."""
    ids = [call.tool_call_id for call in response.tool_calls]
    if len(set(ids)) == len(ids):
        return response
    seen: set[str] = set()
    return replace(response, parts=[_with_unique_id(part, seen) for part in response.parts])


def _with_unique_id(part: ModelResponsePart, seen: set[str]) -> ModelResponsePart:
    if not isinstance(part, ToolCallPart):
        return part
    unique, number = part.tool_call_id, 1
    while unique in seen:
        number += 1
        unique = f"{part.tool_call_id}-{number}"
    seen.add(unique)
    return part if number == 1 else replace(part, tool_call_id=unique)


def with_output_tool_return(
    messages: Sequence[ModelMessage], tool_call_id: str | None, content: str
) -> list[ModelMessage]:
    """A copy in which the answer to the output tool's call has this content.

    Raises `ValueError` if the output came from no tool, `LookupError` if the answer is not among the messages.
    """
    if tool_call_id is None:
        raise ValueError("output_tool_return_content was given, but the output did not come from an output tool")
    changed = list(messages)
    for index in range(len(changed) - 1, -1, -1):
        message = changed[index]
        if not isinstance(message, ModelRequest):
            continue
        parts: list[ModelRequestPart] = list(message.parts)
        for position, part in enumerate(parts):
            if isinstance(part, ToolReturnPart) and part.tool_call_id == tool_call_id:
                parts[position] = replace(part, content=content)
                changed[index] = replace(message, parts=parts)
                return changed
    raise LookupError(f"The messages hold no answer to the output tool's call {tool_call_id!r}")
