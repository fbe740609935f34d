"""Linked files in the forms that the APIs of providers take."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar, overload

from typing_extensions import TypedDict

from app.ai.messages import FileUrl
from app.ai.messages.media_types import suffix_of

DataT = TypeVar("DataT", str, bytes)


class DownloadedItem(TypedDict, Generic[DataT]):
    """A file that was fetched, and its media type or its suffix."""

    data: DataT
    data_type: str


@overload
async def download_item(
    item: FileUrl, data_format: Literal["bytes"] = "bytes", type_format: Literal["mime", "extension"] = "mime"
) -> DownloadedItem[bytes]: ...
@overload
async def download_item(
    item: FileUrl,
    data_format: Literal["base64", "base64_uri", "text"],
    type_format: Literal["mime", "extension"] = "mime",
) -> DownloadedItem[str]: ...


async def download_item(
    item: FileUrl,
    data_format: Literal["bytes", "base64", "base64_uri", "text"] = "bytes",
    type_format: Literal["mime", "extension"] = "mime",
) -> DownloadedItem[str] | DownloadedItem[bytes]:
    """Fetch a linked file. UserError if it cannot be fetched, or may not be."""
    from app.ai.downloads import download  # brings httpx

    file = await download(item)
    data_type = file.media_type if type_format == "mime" else suffix_of(file.media_type)
    match data_format:
        case "bytes":
            return DownloadedItem[bytes](data=file.data, data_type=data_type)
        case "base64":
            return DownloadedItem[str](data=file.base64, data_type=data_type)
        case "base64_uri":
            return DownloadedItem[str](data=file.data_uri, data_type=data_type)
        case "text":
            return DownloadedItem[str](data=file.data.decode(), data_type=data_type)
