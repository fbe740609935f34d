"""Our messages as Messages API messages."""

from __future__ import annotations

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
    ModelRequestPart,
    ModelResponse,
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
    UploadedFile,
    UserContent,
    UserPromptPart,
    VideoUrl,
    is_multi_modal_content,
)
from app.ai.models.anthropic.settings import cache_control

Block: TypeAlias = dict[str, Any]

REDACTED = "redacted_thinking"
"""The id of a thinking part whose text only the provider can read; it stands encrypted in `signature`."""

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


def system_text(messages: Sequence[ModelMessage], instructions: str | None, *, later: bool) -> str | None:
    """The system prompt: the system parts of the messages, then the instructions.

    With `later`, system parts that come up after the first answer stay where they are.
    """
    texts: list[str] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            texts += _system_texts(message)
        elif later:
            break
    return "\n\n".join(filter(None, [*texts, instructions])) or None


def _system_texts(request: ModelRequest) -> list[str]:
    return [part.content for part in request.parts if isinstance(part, SystemPromptPart) and part.content]


async def to_messages(messages: Sequence[ModelMessage], provider_name: str, *, later: bool) -> list[dict[str, Any]]:
    """The whole conversation apart from the system prompt; neighbours of one role become one message.

    With `later`, system parts that come up after the first answer are messages of their own.
    """
    chat: list[dict[str, Any]] = []
    answered = False
    for message in messages:
        if not isinstance(message, ModelRequest):
            _add(chat, "assistant", _from_response(message, provider_name))
            answered = True
            continue
        _add(chat, "user", await _from_request(message))
        # Only after the user's turn may one stand.
        if later and answered and chat[-1]["role"] == "user":
            _add(chat, "system", [_text(text) for text in _system_texts(message)])
    return chat


def _add(chat: list[dict[str, Any]], role: str, blocks: list[Block]) -> None:
    if blocks and chat and chat[-1]["role"] == role:
        chat[-1]["content"] += blocks
    elif blocks:
        chat.append({"role": role, "content": blocks})


async def _from_request(request: ModelRequest) -> list[Block]:
    # Results have to come first in the message that follows their calls.
    parts = sorted(request.parts, key=lambda part: not _is_result(part))
    blocks: list[Block] = []
    for part in parts:
        match part:
            case SystemPromptPart():
                continue
            case ToolReturnPart():
                blocks.append(await _result(part))
            case RetryPromptPart(tool_name=None):
                blocks.append(_text(part.model_response()))
            case RetryPromptPart():
                blocks.append(_result_block(part.tool_call_id, [_text(part.model_response())], is_error=True))
            case UserPromptPart():
                await _add_content(blocks, [part.content] if isinstance(part.content, str) else part.content)
    return blocks


def _is_result(part: ModelRequestPart) -> bool:
    return isinstance(part, ToolReturnPart) or (isinstance(part, RetryPromptPart) and part.tool_name is not None)


async def _result(part: ToolReturnPart) -> Block:
    blocks: list[Block] = []
    if text := "" if is_multi_modal_content(part.content) else part.model_response_str():
        blocks.append(_text(text))
    for file in part.files:
        blocks.append(await _block(file))
    return _result_block(part.tool_call_id, blocks, is_error=part.outcome == "failed")


def _result_block(call_id: str, blocks: list[Block], *, is_error: bool) -> Block:
    return {"type": "tool_result", "tool_use_id": call_id, "content": blocks, "is_error": is_error}


async def _add_content(blocks: list[Block], content: Iterable[UserContent]) -> None:
    for item in content:
        if isinstance(item, CachePoint):
            if not blocks:
                raise UserError("A CachePoint has to come after the content that shall be cached.")
            blocks[-1]["cache_control"] = cache_control(item.ttl)
        elif item != "":
            blocks.append(await _block(item))


async def _block(item: UserContent) -> Block:
    match item:
        case str():
            return _text(item)
        case TextContent():
            return _text(item.content)
        case BinaryContent():
            return _binary(item)
        case ImageUrl() | DocumentUrl():
            return await _link(item)
        case UploadedFile() if item.provider_name == "anthropic":
            kind = "image" if item.media_type.startswith("image/") else "document"
            return {"type": kind, "source": {"type": "file", "file_id": item.file_id}, **_options(item)}
        case AudioUrl() | VideoUrl():
            raise UserError("The Messages API takes no audio and no video.")
        case _:
            raise UserError(f"The Messages API cannot take {item!r}.")


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _binary(file: BinaryContent) -> Block:
    if file.media_type in _IMAGE_TYPES:
        source = {"type": "base64", "media_type": file.media_type, "data": file.base64}
        return {"type": "image", "source": source}
    if file.media_type == "application/pdf":
        source = {"type": "base64", "media_type": file.media_type, "data": file.base64}
        return {"type": "document", "source": source, **_options(file)}
    if file.media_type.startswith("text/") or file.media_type == "application/json":
        try:
            text = file.data.decode()
        except UnicodeDecodeError as err:
            raise UserError(f"File {file.identifier} is {file.media_type} but not UTF-8.") from err
        source = {"type": "text", "media_type": "text/plain", "data": text}
        return {"type": "document", "source": source, **_options(file)}
    raise UserError(f"The Messages API takes no files of type {file.media_type}.")


async def _link(item: FileUrl) -> Block:
    is_image = isinstance(item, ImageUrl)
    if item.force_download is False and (is_image or item.media_type == "application/pdf"):
        options = {} if is_image else _options(item)
        return {"type": "image" if is_image else "document", "source": {"type": "url", "url": item.url}, **options}
    downloaded = await download(item)
    downloaded.vendor_metadata = item.vendor_metadata
    return _binary(downloaded)


def _options(item: FileUrl | BinaryContent | UploadedFile) -> dict[str, Any]:
    """What the API lets one say about a document."""
    metadata = item.vendor_metadata or {}
    return {key: metadata[key] for key in ("title", "context", "citations") if key in metadata}


def _from_response(response: ModelResponse, provider_name: str) -> list[Block]:
    blocks = [_answer_block(part, provider_name) for part in response.parts]
    return [block for block in blocks if block]


def _answer_block(part: ModelResponsePart, provider_name: str) -> Block | None:
    # Only the provider that made a thought, a citation or a call of its own tools knows what to do with it.
    own = part.provider_name == provider_name
    match part:
        case TextPart(content=content) if content:
            citations = (part.provider_details or {}).get("citations") if own else None
            return {**_text(content), **({"citations": citations} if citations else {})}
        case ToolCallPart():
            caller = (part.provider_details or {}).get("caller") if own else None
            block = {"type": "tool_use", "id": part.tool_call_id, "name": part.tool_name, "input": part.args_as_dict()}
            return {**block, **({"caller": caller} if caller else {})}
        case _ if own:
            return _own_block(part)
        case _:
            return None


def _own_block(part: ModelResponsePart) -> Block | None:
    details = part.provider_details or {}
    match part:
        case ThinkingPart(id=id, signature=signature) if id == REDACTED:
            return {"type": REDACTED, "data": signature}
        case ThinkingPart() if part.signature:
            return {"type": "thinking", "thinking": part.content, "signature": part.signature}
        case NativeToolCallPart():
            return {**details, "id": part.tool_call_id, "input": part.args_as_dict()}
        case NativeToolReturnPart():
            return {**details, "tool_use_id": part.tool_call_id, "content": part.content}
        case CompactionPart():
            return {"type": "compaction", "content": part.content, **details}
        case _:
            return None
