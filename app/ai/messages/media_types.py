"""Media types of the files that messages carry, and the formats that providers name them by."""

from __future__ import annotations

from collections.abc import Mapping
from mimetypes import MimeTypes
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

AudioMediaType: TypeAlias = Literal["audio/wav", "audio/mpeg", "audio/ogg", "audio/flac", "audio/aiff", "audio/aac"]
ImageMediaType: TypeAlias = Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
DocumentMediaType: TypeAlias = Literal[
    "application/pdf",
    "text/plain",
    "text/csv",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "text/html",
    "text/markdown",
    "application/msword",
    "application/vnd.ms-excel",
]
VideoMediaType: TypeAlias = Literal[
    "video/x-matroska",
    "video/quicktime",
    "video/mp4",
    "video/webm",
    "video/x-flv",
    "video/mpeg",
    "video/x-ms-wmv",
    "video/3gpp",
]

AudioFormat: TypeAlias = Literal["wav", "mp3", "oga", "flac", "aiff", "aac"]
ImageFormat: TypeAlias = Literal["jpeg", "png", "gif", "webp"]
DocumentFormat: TypeAlias = Literal["csv", "doc", "docx", "html", "md", "pdf", "txt", "xls", "xlsx"]
VideoFormat: TypeAlias = Literal["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]

DOCUMENT_FORMATS: Mapping[str, DocumentFormat] = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/markdown": "md",
    "application/msword": "doc",
    "application/vnd.ms-excel": "xls",
}
_FORMATS: Mapping[str, str] = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "oga",
    "audio/flac": "flac",
    "audio/aiff": "aiff",
    "audio/aac": "aac",
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
    **DOCUMENT_FORMATS,
}

_MEDIA_TYPES = MimeTypes()
for _media_type, _suffix in (
    ("audio/mpeg", ".mp3"),
    ("audio/wav", ".wav"),
    ("audio/ogg", ".oga"),
    ("audio/flac", ".flac"),
    ("audio/aac", ".aac"),
    ("audio/aiff", ".aiff"),
    ("image/webp", ".webp"),
    ("image/heic", ".heic"),
    ("video/webm", ".webm"),
    ("video/x-matroska", ".mkv"),
    ("video/x-flv", ".flv"),
    ("video/x-ms-wmv", ".wmv"),
    ("video/3gpp", ".three_gp"),
    ("text/markdown", ".md"),
    ("text/markdown", ".mdx"),
    ("text/x-asciidoc", ".asciidoc"),
    ("application/rtf", ".rtf"),
    ("application/toml", ".toml"),
    ("application/yaml", ".yaml"),
    ("application/yaml", ".yml"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", ".docx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", ".pptx"),
):
    # The system's own table differs from machine to machine; a stored media type must not.
    _MEDIA_TYPES.add_type(_media_type, _suffix)


def guess_media_type(name_or_url: str) -> str | None:
    """The media type that a file's suffix, or a data URI, tells."""
    is_data = name_or_url.startswith("data:")
    return _MEDIA_TYPES.guess_type(name_or_url if is_data else urlsplit(name_or_url).path)[0]


def format_of(media_type: str) -> str:
    """The file format as providers name it, such as `png`; ValueError if it has no such name."""
    if media_type not in _FORMATS:
        raise ValueError(f"Unknown media type {media_type!r}: it has no format that providers know.")
    return _FORMATS[media_type]


def suffix_of(media_type: str) -> str:
    """A suffix for a file name, without the dot."""
    return _FORMATS.get(media_type) or media_type.rpartition("/")[2]
