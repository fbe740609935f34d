"""Our messages as Gemini contents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from app.ai.downloads import download
from app.ai.exceptions import UserError
from app.ai.messages import (
    BinaryContent,
    CachePoint,
    FilePart,
    FileUrl,
    ModelMessage,
    ModelRequest,
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
)
from app.ai.profiles.google import GoogleModelProfile

Content: TypeAlias = dict[str, Any]
Part: TypeAlias = dict[str, Any]

SIGNATURE = "thought_signature"
"""Where a part keeps the proof of the thoughts that led to it."""

TOOL_TYPE = "tool_type"
"""Where a call of the provider's own tools, and its result, keep the API's word for the tool."""

_GENERATED_ID = "pyd_ai_"
_GOOGLE_FILES = ("gs://", "https://generativelanguage.googleapis.com/")


def system_instruction(messages: Sequence[ModelMessage], instructions: str | None) -> Content | None:
    """The system parts of all messages, then the instructions."""
    parts = (part for message in messages if isinstance(message, ModelRequest) for part in message.parts)
    texts = [part.content for part in parts if isinstance(part, SystemPromptPart) and part.content]
    if instructions:
        texts.append(instructions)
    return {"parts": [{"text": text} for text in texts]} if texts else None


async def to_contents(
    messages: Sequence[ModelMessage], provider_name: str, profile: GoogleModelProfile, *, links_files: bool
) -> list[Content]:
    """The whole conversation apart from the system prompt; `links_files` if the API follows any link by itself."""
    contents: list[Content] = []
    for message in messages:
        if isinstance(message, ModelRequest):
            contents += await _from_request(message, profile, links_files)
        elif parts := [made for part in message.parts if (made := _answer_part(part, message, provider_name))]:
            contents.append({"role": "model", "parts": parts})
    return contents


async def _from_request(request: ModelRequest, profile: GoogleModelProfile, links_files: bool) -> list[Content]:
    # A turn of results holds nothing but results, one for each call.
    results: list[Part] = []
    prompts: list[Part] = []
    for part in request.parts:
        match part:
            case SystemPromptPart():
                continue
            case ToolReturnPart():
                result = _response(part.tool_name, part.tool_call_id, part.model_response_object())
                results.append(result)
                if profile.google_supports_files_in_results and part.files:
                    result["functionResponse"]["parts"] = await _parts(part.files, links_files)
                else:
                    prompts += await _parts(part.model_response_str_and_user_content()[1], links_files)
            case RetryPromptPart(tool_name=None):
                prompts.append({"text": part.model_response()})
            case RetryPromptPart(tool_name=str(name)):
                results.append(_response(name, part.tool_call_id, {"error": part.model_response()}))
            case UserPromptPart():
                content = [part.content] if isinstance(part.content, str) else part.content
                prompts += await _parts(content, links_files)
            case _:
                raise UserError(f"The Gemini API cannot take {part!r}.")
    return [{"role": "user", "parts": parts} for parts in (results, prompts) if parts]


def _response(name: str, call_id: str, response: dict[str, Any]) -> Part:
    return {"functionResponse": {"name": name, "response": response, **_id(call_id)}}


def _id(call_id: str) -> dict[str, str]:
    """An id only goes back to the provider that gave it: most Gemini models tell calls apart by their order."""
    return {} if call_id.startswith(_GENERATED_ID) else {"id": call_id}


async def _parts(content: Iterable[UserContent], links_files: bool) -> list[Part]:
    return [await _part(item, links_files) for item in content if not isinstance(item, CachePoint)]


async def _part(item: UserContent, links_files: bool) -> Part:
    match item:
        case str():
            return {"text": item}
        case TextContent():
            return {"text": item.content}
        case BinaryContent():
            return {**_inline(item), **_options(item)}
        case UploadedFile() if item.provider_name.startswith("google"):
            return {"fileData": {"fileUri": item.file_id, "mimeType": item.media_type}, **_options(item)}
        case FileUrl():
            is_youtube = isinstance(item, VideoUrl) and item.is_youtube
            if item.force_download is False and (links_files or is_youtube or item.url.startswith(_GOOGLE_FILES)):
                return {"fileData": {"fileUri": item.url, "mimeType": item.media_type}, **_options(item)}
            return {**_inline(await download(item)), **_options(item)}
        case _:
            raise UserError(f"The Gemini API cannot take {item!r}.")


def _inline(file: BinaryContent) -> Part:
    return {"inlineData": {"mimeType": file.media_type, "data": file.base64}}


def _options(item: FileUrl | BinaryContent | UploadedFile) -> Part:
    return {"videoMetadata": item.vendor_metadata} if item.vendor_metadata and _is_video(item) else {}


def _is_video(item: FileUrl | BinaryContent | UploadedFile) -> bool:
    return isinstance(item, VideoUrl) or item.media_type.startswith("video/")


def _answer_part(part: ModelResponsePart, response: ModelResponse, provider_name: str) -> Part | None:
    # Only the provider that made a thought or a call of its own tools knows what to do with it.
    own = (part.provider_name or response.provider_name) == provider_name
    signature = (part.provider_details or {}).get(SIGNATURE) if own else None
    signed = {"thoughtSignature": signature} if signature else {}
    match part:
        case TextPart() if part.content or signed:
            return {"text": part.content, **signed}
        case ToolCallPart():
            call = {"name": part.tool_name, "args": part.args_as_dict(), **_id(part.tool_call_id)}
            return {"functionCall": call, **signed}
        case FilePart():
            return {**_inline(part.content), **signed}
        case _ if own:
            own_part = _own_part(part)
            return {**own_part, **signed} if own_part else None
        case _:
            return None


def _own_part(part: ModelResponsePart) -> Part | None:
    match part:
        case ThinkingPart() if part.content or part.provider_details:
            return {"text": part.content, "thought": True}
        case NativeToolCallPart(tool_name="code_execution"):
            return {"executableCode": part.args_as_dict()}
        case NativeToolReturnPart(tool_name="code_execution"):
            return {"codeExecutionResult": part.content}
        case NativeToolCallPart() if tool_type := _tool_type(part):
            return {"toolCall": {"toolType": tool_type, "args": part.args_as_dict(), "id": part.tool_call_id}}
        case NativeToolReturnPart() if tool_type := _tool_type(part):
            return {"toolResponse": {"toolType": tool_type, "response": part.content, "id": part.tool_call_id}}
        case _:
            return None  # what is told by the answer's metadata is not told back


def _tool_type(part: NativeToolCallPart | NativeToolReturnPart) -> str | None:
    return (part.provider_details or {}).get(TOOL_TYPE)
