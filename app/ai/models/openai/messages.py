"""Our messages as Chat Completions messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeAlias

from app.ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from app.ai.models.openai.additions import CUSTOM, EXTRA_CONTENT, REASONING_DETAILS
from app.ai.models.openai.content import ChatContent
from app.ai.profiles.openai import OpenAIModelProfile

ChatMessage: TypeAlias = dict[str, Any]

THINKING_FIELDS = ("reasoning_content", "reasoning")
"""The fields in which servers give thinking; a part remembers its own in `id` to go back in the same."""

_OtherPart: TypeAlias = SystemPromptPart | UserPromptPart | RetryPromptPart


async def to_chat_messages(
    messages: Sequence[ModelMessage], *, instructions: str | None, provider_name: str, profile: OpenAIModelProfile
) -> list[ChatMessage]:
    """The whole conversation, with the instructions after the system prompts at its head."""
    chat: list[ChatMessage] = []
    content = ChatContent(profile, provider_name)
    for message in messages:
        if isinstance(message, ModelRequest):
            chat += await _from_request(message, content)
        elif answer := _from_response(message, provider_name, profile):
            chat.append(answer)
    if instructions:
        role = profile.openai_system_prompt_role or "system"
        heads = next((i for i, message in enumerate(chat) if message["role"] != role), len(chat))
        # Where the role is `user`, a prompt cannot be told from a system prompt, so instructions simply come first.
        chat.insert(0 if role == "user" else heads, {"role": role, "content": instructions})
    return chat


async def _from_request(request: ModelRequest, content: ChatContent) -> list[ChatMessage]:
    """Answers to tool calls first, since they have to follow the calls; then files from tools; then the rest."""
    answers: list[ChatMessage] = []
    files: list[UserContent] = []
    others: list[ChatMessage] = []
    for part in request.parts:
        if isinstance(part, ToolReturnPart):
            text, attached = part.model_response_str_and_user_content()
            answers.append(_tool_message(part.tool_call_id, text))
            files += attached
        elif isinstance(part, RetryPromptPart) and part.tool_name is not None:
            answers.append(_tool_message(part.tool_call_id, part.model_response()))
        else:
            others.append(await _other_message(part, content))
    if files:
        answers.append({"role": "user", "content": await content.items(files)})
    return answers + others


def _tool_message(tool_call_id: str, content: str) -> ChatMessage:
    return {"role": "tool", "tool_call_id": tool_call_id, "content": content}


async def _other_message(part: _OtherPart, content: ChatContent) -> ChatMessage:
    match part:
        case SystemPromptPart():
            return {"role": content.profile.openai_system_prompt_role or "system", "content": part.content}
        case UserPromptPart(content=str(text)):
            return {"role": "user", "content": text}
        case UserPromptPart():
            return {"role": "user", "content": await content.items(part.content)}
        case RetryPromptPart():
            return {"role": "user", "content": part.model_response()}


def _from_response(response: ModelResponse, provider_name: str, profile: OpenAIModelProfile) -> ChatMessage | None:
    """The assistant's message; None if nothing in the response can be sent back."""
    texts = [text for part in response.parts if (text := _text_of(part, provider_name, profile))]
    calls = [_call(part, provider_name) for part in response.parts if isinstance(part, ToolCallPart)]
    message: ChatMessage = {"role": "assistant", "content": "\n\n".join(texts) or None}
    if calls:
        message["tool_calls"] = calls
    # Only the server that made a thought knows what to do with it.
    thoughts = [
        part for part in response.parts if isinstance(part, ThinkingPart) and part.provider_name == provider_name
    ]
    if profile.openai_thinking_in_content:
        message["content"] = _with_thoughts(thoughts, message["content"])
    else:
        _add_thoughts(message, thoughts, profile)
    return message if texts or calls else None


def _text_of(part: ModelResponsePart, provider_name: str, profile: OpenAIModelProfile) -> str | None:
    match part:
        case TextPart() | CompactionPart():
            return part.content
        case ThinkingPart() if profile.openai_chat_send_back_thinking_parts == "tags" and part.content:
            begin, end = profile.thinking_tags
            return f"{begin}\n{part.content}\n{end}" if part.provider_name == provider_name else None
        case _:
            return None


def _add_thoughts(message: ChatMessage, thoughts: Sequence[ThinkingPart], profile: OpenAIModelProfile) -> None:
    way, own_field = profile.openai_chat_send_back_thinking_parts, profile.openai_chat_thinking_field
    if way not in ("auto", "field"):
        return
    for part in thoughts:
        if way == "field" and own_field:
            message[own_field] = message.get(own_field, "") + part.content
            continue
        if part.id not in (*THINKING_FIELDS, own_field):
            continue
        if details := (part.provider_details or {}).get(REASONING_DETAILS):
            message[REASONING_DETAILS] = details
        else:
            message[str(part.id)] = message.get(str(part.id), "") + part.content


def _with_thoughts(thoughts: Sequence[ThinkingPart], text: str | None) -> str | list[dict[str, Any]] | None:
    items = [{"type": "thinking", "thinking": [{"type": "text", "text": part.content}]} for part in thoughts]
    if not items:
        return text
    return [*items, {"type": "text", "text": text}] if text else items


def _call(part: ToolCallPart, provider_name: str) -> dict[str, Any]:
    arguments = part.args_as_json_str()
    try:
        json.loads(arguments)
    except ValueError:
        # Some servers parse the arguments of their own earlier calls and refuse a history with broken ones.
        arguments = json.dumps(part.args_as_dict())
    details = (part.provider_details or {}) if part.provider_name == provider_name else {}
    if CUSTOM in details:
        custom = {"name": part.tool_name, "input": part.args_as_dict().get("input", "")}
        return {"id": part.tool_call_id, "type": CUSTOM, CUSTOM: custom}
    # Gemini keeps the signature of its thoughts there.
    extra = {EXTRA_CONTENT: details[EXTRA_CONTENT]} if EXTRA_CONTENT in details else {}
    function = {"name": part.tool_name, "arguments": arguments}
    return {"id": part.tool_call_id, "type": "function", "function": function, **extra}
