"""What users and tools put before a model, as items of a Chat Completions message."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.ai.downloads import download
from app.ai.exceptions import UserError
from app.ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    FileUrl,
    ImageUrl,
    TextContent,
    UploadedFile,
    UserContent,
    VideoUrl,
)
from app.ai.messages.media_types import suffix_of
from app.ai.profiles.openai import OpenAIModelProfile

_AUDIO_FORMATS = ("wav", "mp3")


@dataclass(frozen=True)
class ChatContent:
    """Turns content into items, in the way of a server."""

    profile: OpenAIModelProfile
    provider_name: str

    async def items(self, content: Iterable[UserContent]) -> list[dict[str, Any]]:
        """All of a message's content."""
        items: list[dict[str, Any]] = []
        for part in content:
            if not isinstance(part, CachePoint):
                items.append(await self._item(part))
            elif items and self.profile.openai_cache_points:
                items[-1] |= _cache_mark(part, self.profile.openai_cache_points)
        return items

    async def _item(self, item: UserContent) -> dict[str, Any]:
        match item:
            case str():
                return {"type": "text", "text": item}
            case TextContent():
                return {"type": "text", "text": item.content}
            case BinaryContent():
                return self._binary(item)
            case UploadedFile() if item.provider_name == self.provider_name:
                return {"type": "file", "file": {"file_id": item.file_id}}
            case FileUrl():
                return await self._link(item)
            case _:
                raise UserError(f"The Chat Completions API cannot take {item!r}.")

    async def _link(self, item: FileUrl) -> dict[str, Any]:
        link = self.profile.openai_document_link
        match item:
            case ImageUrl(force_download=False):
                return _image(item.url, item.vendor_metadata)
            case DocumentUrl(force_download=False) if link:
                return {"type": link, link: item.url if link == "document_url" else {"url": item.url}}
            case DocumentUrl(force_download=False) if self.profile.openai_chat_supports_file_urls:
                name = f"filename.{suffix_of(item.media_type)}"
                return {"type": "file", "file": {"filename": name, "file_data": item.url}}
            case VideoUrl(force_download=False) if self.profile.openai_takes_video:
                return _video(item.url)
            case VideoUrl() if not self.profile.openai_takes_video:
                raise UserError("The Chat Completions API takes no video.")
            case ImageUrl() | AudioUrl() | DocumentUrl() | VideoUrl():
                downloaded = await download(item)
                downloaded.vendor_metadata = item.vendor_metadata
                return self._binary(downloaded)
            case _:
                raise UserError(f"The Chat Completions API cannot take {item!r}.")

    def _binary(self, file: BinaryContent) -> dict[str, Any]:
        if file.is_image:
            return _image(file.data_uri, file.vendor_metadata)
        if file.is_audio:
            audio_format = suffix_of(file.media_type)
            if audio_format not in _AUDIO_FORMATS:
                raise UserError(f"The Chat Completions API takes audio as {_AUDIO_FORMATS}, not {file.media_type}.")
            data = file.data_uri if self.profile.openai_chat_audio_input_encoding == "uri" else file.base64
            return {"type": "input_audio", "input_audio": {"data": data, "format": audio_format}}
        if file.is_video:
            if not self.profile.openai_takes_video:
                raise UserError("The Chat Completions API takes no video.")
            return _video(file.data_uri)
        if text := _as_text(file):
            return {"type": "text", "text": f"File {file.identifier} ({file.media_type}):\n```\n{text}\n```"}
        if self.profile.openai_document_link == "document_url":
            return {"type": "document_url", "document_url": file.data_uri}
        name = f"{file.identifier}.{suffix_of(file.media_type)}"
        return {"type": "file", "file": {"filename": name, "file_data": file.data_uri}}


def cache_control(ttl: str | bool) -> dict[str, Any]:
    """The mark at the end of a prefix that shall be cached, for the models that know it; True is five minutes."""
    return {"cache_control": {"type": "ephemeral", "ttl": "5m" if ttl is True else ttl}}


def _cache_mark(point: CachePoint, way: str) -> dict[str, Any]:
    if way == "cache_control":
        return cache_control(point.ttl)
    return {"prompt_cache_breakpoint": {"mode": "explicit"}}


def _image(url: str, vendor_metadata: dict[str, Any] | None) -> dict[str, Any]:
    detail = (vendor_metadata or {}).get("detail")
    return {"type": "image_url", "image_url": {"url": url, **({"detail": detail} if detail else {})}}


def _video(url: str) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/yaml", "application/toml"})


def _as_text(file: BinaryContent) -> str | None:
    if not (file.media_type.startswith("text/") or file.media_type in _TEXT_TYPES):
        return None
    try:
        return file.data.decode()
    except UnicodeDecodeError as err:
        raise UserError(f"File {file.identifier} is {file.media_type} but not UTF-8.") from err
