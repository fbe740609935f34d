"""Our messages as Chat Completions messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from app.ai.downloads import download
from app.ai.exceptions import UserError
from app.ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    CompactionPart,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserContent,
    UserPromptPart,
    VideoUrl,
)
from app.ai.messages.media_types import suffix_of
from app.ai.models.openai.additions import REASONING_DETAILS

ChatMessage: TypeAlias = dict[str, Any]

THINKING_FIELDS = ("reasoning_content", "reasoning")
"""The fields in which servers give thinking; a part remembers its own in `id` to go back in the same."""

_OtherPart: TypeAlias = SystemPromptPart | UserPromptPart | RetryPromptPart

_AUDIO_FORMATS = ("wav", "mp3")


async def to_chat_messages(
    messages: Sequence[ModelMessage], *, instructions: str | None, provider_name: str, system_role: str
) -> list[ChatMessage]:
    """The whole conversation, with the instructions after the system prompts at its head."""
    chat: list[ChatMessage] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            chat += await _from_request(message, system_role)
        elif answer := _from_response(message, provider_name):
            chat.append(answer)
    if instructions:
        heads = next((i for i, message in enumerate(chat) if message["role"] != system_role), len(chat))
        # Where the role is `user`, a prompt cannot be told from a system prompt, so instructions simply come first.
        chat.insert(0 if system_role == "user" else heads, {"role": system_role, "content": instructions})
    return chat


async def _from_request(request: ModelRequest, system_role: str) -> list[ChatMessage]:
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
            others.append(await _other_message(part, system_role))
    if files:
        answers.append({"role": "user", "content": await _content_items(files)})
    return answers + others


def _tool_message(tool_call_id: str, content: str) -> ChatMessage:
    return {"role": "tool", "tool_call_id": tool_call_id, "content": content}


async def _other_message(part: _OtherPart, system_role: str) -> ChatMessage:
    match part:
        case SystemPromptPart():
            return {"role": system_role, "content": part.content}
        case UserPromptPart(content=str(text)):
            return {"role": "user", "content": text}
        case UserPromptPart():
            return {"role": "user", "content": await _content_items(part.content)}
        case RetryPromptPart():
            return {"role": "user", "content": part.model_response()}


def _from_response(response: ModelResponse, provider_name: str) -> ChatMessage | None:
    """The assistant's message; None if nothing in the response can be sent back."""
    texts = [part.content for part in response.parts if isinstance(part, TextPart | CompactionPart) and part.content]
    calls = [_call(part) for part in response.parts if isinstance(part, ToolCallPart)]
    message: ChatMessage = {"role": "assistant", "content": "\n\n".join(texts) or None}
    if calls:
        message["tool_calls"] = calls
    for part in response.parts:
        # Only the server that made a thought knows what to do with it.
        if isinstance(part, ThinkingPart) and part.id in THINKING_FIELDS and part.provider_name == provider_name:
            if details := (part.provider_details or {}).get(REASONING_DETAILS):
                message[REASONING_DETAILS] = details
            else:
                message[part.id] = message.get(part.id, "") + part.content
    return message if texts or calls else None


def _call(part: ToolCallPart) -> dict[str, Any]:
    arguments = part.args_as_json_str()
    try:
        json.loads(arguments)
    except ValueError:
        # Some servers parse the arguments of their own earlier calls and refuse a history with broken ones.
        arguments = json.dumps(part.args_as_dict())
    return {"id": part.tool_call_id, "type": "function", "function": {"name": part.tool_name, "arguments": arguments}}


async def _content_items(content: Iterable[UserContent]) -> list[dict[str, Any]]:
    return [await _content_item(item) for item in content if not isinstance(item, CachePoint)]


async def _content_item(item: UserContent) -> dict[str, Any]:
    match item:
        case str():
            return {"type": "text", "text": item}
        case TextContent():
            return {"type": "text", "text": item.content}
        case BinaryContent():
            return _binary_item(item)
        case UploadedFile() if item.provider_name == "openai":
            return {"type": "file", "file": {"file_id": item.file_id}}
        case FileUrl():
            return await _link_item(item)
        case _:
            raise UserError(f"The Chat Completions API cannot take {item!r}.")


async def _link_item(item: FileUrl) -> dict[str, Any]:
    match item:
        case ImageUrl(force_download=False):
            return _image_item(item.url, item.vendor_metadata)
        case ImageUrl() | AudioUrl() | DocumentUrl():
            downloaded = await download(item)
            downloaded.vendor_metadata = item.vendor_metadata
            return _binary_item(downloaded)
        case VideoUrl():
            raise UserError("The Chat Completions API takes no video.")
        case _:
            raise UserError(f"The Chat Completions API cannot take {item!r}.")


def _image_item(url: str, vendor_metadata: dict[str, Any] | None) -> dict[str, Any]:
    detail = (vendor_metadata or {}).get("detail")
    return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}


def _binary_item(file: BinaryContent) -> dict[str, Any]:
    if file.is_image:
        return _image_item(file.data_uri, file.vendor_metadata)
    if file.is_audio:
        audio_format = suffix_of(file.media_type)
        if audio_format not in _AUDIO_FORMATS:
            raise UserError(f"The Chat Completions API takes audio as {_AUDIO_FORMATS}, not {file.media_type}.")
        return {"type": "input_audio", "input_audio": {"data": file.base64, "format": audio_format}}
    if file.is_video:
        raise UserError("The Chat Completions API takes no video.")
    if text := _as_text(file):
        return {"type": "text", "text": f"File {file.identifier} ({file.media_type}):\n```\n{text}\n```"}
    name = f"{file.identifier}.{suffix_of(file.media_type)}"
    return {"type": "file", "file": {"filename": name, "file_data": file.data_uri}}


_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})


def _as_text(file: BinaryContent) -> str | None:
    if not (file.media_type.startswith("text/") or file.media_type in _TEXT_TYPES):
        return None
    try:
        return file.data.decode()
    except UnicodeDecodeError as err:
        raise UserError(f"File {file.identifier} is {file.media_type} but not UTF-8.") from err
