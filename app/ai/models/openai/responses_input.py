"""Our messages as the input of a Responses request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from app.ai.downloads import download
from app.ai.exceptions import UserError
from app.ai.messages import (
    BinaryContent,
    CachePoint,
    CompactionPart,
    FilePart,
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
    is_multi_modal_content,
)
from app.ai.messages.media_types import suffix_of
from app.ai.models.openai.messages import THINKING_FIELDS
from app.ai.models.openai.responses_answers import ITEM_TYPE, RAW, Item


async def to_input(
    messages: Sequence[ModelMessage], *, provider_name: str, system_role: str, stored: bool
) -> list[Item]:
    """The whole conversation apart from the instructions. Items that the provider does not store have no id there."""
    items: list[Item] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            items += [await _from_part(part, system_role) for part in message.parts]
        else:
            items += _from_response(message, provider_name)
    return items if stored else [{key: value for key, value in item.items() if key != "id"} for item in items]


def after_newest_response(
    messages: Sequence[ModelMessage], provider_name: str
) -> tuple[str | None, Sequence[ModelMessage]]:
    """The id of the newest response that the provider gave, and what came after it."""
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if isinstance(message, ModelResponse) and message.provider_name == provider_name:
            return message.provider_response_id, messages[index + 1 :]
    return None, messages


async def _from_part(part: ModelRequestPart, system_role: str) -> Item:
    match part:
        case SystemPromptPart():
            return {"role": system_role, "content": part.content}
        case ToolReturnPart():
            return {"type": "function_call_output", "call_id": part.tool_call_id, "output": await _output(part)}
        case RetryPromptPart(tool_name=None):
            return {"role": "user", "content": part.model_response()}
        case RetryPromptPart():
            output = part.model_response()
            return {"type": "function_call_output", "call_id": part.tool_call_id, "output": output}
        case UserPromptPart(content=str(text)):
            return {"role": "user", "content": text}
        case UserPromptPart():
            return {"role": "user", "content": await _contents(part.content)}


async def _output(part: ToolReturnPart) -> str | list[Item]:
    if not part.files:
        return part.model_response_str()
    text = [] if is_multi_modal_content(part.content) else [part.model_response_str()]
    return await _contents([*text, *part.files])


async def _contents(content: Iterable[UserContent]) -> list[Item]:
    return [await _content(item) for item in content if not isinstance(item, CachePoint)]


async def _content(item: UserContent) -> Item:
    match item:
        case str():
            return {"type": "input_text", "text": item}
        case TextContent():
            return {"type": "input_text", "text": item.content}
        case UploadedFile() if item.provider_name == "openai":
            kind = "input_image" if item.media_type.startswith("image/") else "input_file"
            return {"type": kind, "file_id": item.file_id}
        case BinaryContent():
            return _binary(item)
        case FileUrl():
            return await _link(item)
        case _:
            raise UserError(f"The Responses API cannot take {item!r}.")


async def _link(item: FileUrl) -> Item:
    if item.force_download is False and isinstance(item, ImageUrl):
        return _image(item.url, item.vendor_metadata)
    if item.force_download is False and item.kind == "document-url":
        return {"type": "input_file", "file_url": item.url}
    downloaded = await download(item)
    downloaded.vendor_metadata = item.vendor_metadata
    return _binary(downloaded)


def _image(url: str, vendor_metadata: dict[str, Any] | None) -> Item:
    return {"type": "input_image", "image_url": url, "detail": (vendor_metadata or {}).get("detail", "auto")}


def _binary(file: BinaryContent) -> Item:
    if file.is_image:
        return _image(file.data_uri, file.vendor_metadata)
    if file.is_audio or file.is_video:
        raise UserError("The Responses API takes no audio and no video.")
    name = f"{file.identifier}.{suffix_of(file.media_type)}"
    return {"type": "input_file", "filename": name, "file_data": file.data_uri}


def _from_response(response: ModelResponse, provider_name: str) -> list[Item]:
    items: list[Item] = []
    files = {part.id: part.content.base64 for part in response.parts if isinstance(part, FilePart)}
    for part in response.parts:
        # Only the provider that made an item knows it by its id.
        own = part.provider_name == provider_name
        if isinstance(part, TextPart) and not (own and part.id):
            if part.content:
                items.append({"role": "assistant", "content": part.content})
        elif isinstance(part, ToolCallPart):
            items.append(_call(part, own))
        elif own:
            _add_own(items, part, files)
    return items


def _call(part: ToolCallPart, own: bool) -> Item:
    call: Item = {
        "type": "function_call",
        "call_id": part.tool_call_id,
        "name": part.tool_name,
        "arguments": part.args_as_json_str(),
    }
    if own and part.id:
        call["id"] = part.id
    return {**call, **((part.provider_details or {}) if own else {})}


def _add_own(items: list[Item], part: ModelResponsePart, files: dict[str | None, str]) -> None:
    match part:
        case TextPart():
            _add_text(items, part)
        case ThinkingPart() if part.id not in THINKING_FIELDS:  # those come from the server's other API
            _add_thought(items, part)
        case NativeToolCallPart():
            image = {"result": files[part.tool_call_id]} if part.tool_call_id in files else {}
            kind = (part.provider_details or {}).get(ITEM_TYPE)
            items.append({"type": kind, "id": part.tool_call_id, **part.args_as_dict(), **image})
        case NativeToolReturnPart() if items and items[-1].get("id") == part.tool_call_id:
            items[-1] |= part.content
        case CompactionPart():
            items.append({"type": "compaction", "id": part.id, **(part.provider_details or {})})
        case _:
            pass  # files stand in the items of their calls


def _add_text(items: list[Item], part: TextPart) -> None:
    details = part.provider_details or {}
    content = {"type": "output_text", "text": part.content, "annotations": details.get("annotations", [])}
    if items and items[-1].get("id") == part.id:
        items[-1]["content"].append(content)
        return
    phase = {"phase": details["phase"]} if "phase" in details else {}
    items.append(
        {"type": "message", "role": "assistant", "id": part.id, "status": "completed", "content": [content], **phase}
    )


def _add_thought(items: list[Item], part: ThinkingPart) -> None:
    if not (items and items[-1].get("type") == "reasoning" and items[-1].get("id") == part.id):
        items.append({"type": "reasoning", "id": part.id, "summary": []})
    item = items[-1]
    if part.signature:
        item["encrypted_content"] = part.signature
    if (part.provider_details or {}).get("kind") == RAW:
        item.setdefault("content", []).append({"type": RAW, "text": part.content})
    elif part.content:
        item["summary"].append({"type": "summary_text", "text": part.content})
