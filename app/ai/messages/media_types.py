"""Media types of the files that messages carry, and the formats that providers name them by.

The names of formats are those of Amazon's Converse API, which has one for most of what any provider reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from mimetypes import MimeTypes
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

ImageFormat: TypeAlias = Literal["png", "jpeg", "gif", "webp"]
AudioFormat: TypeAlias = Literal["mp3", "wav", "flac", "oga", "aac", "aiff"]
VideoFormat: TypeAlias = Literal["mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"]
DocumentFormat: TypeAlias = Literal["pdf", "txt", "md", "html", "csv", "doc", "docx", "xls", "xlsx"]

ImageMediaType: TypeAlias = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
AudioMediaType: TypeAlias = Literal["audio/mpeg", "audio/wav", "audio/flac", "audio/ogg", "audio/aac", "audio/aiff"]
VideoMediaType: TypeAlias = Literal[
    "video/mp4",
    "video/quicktime",
    "video/x-matroska",
    "video/webm",
    "video/x-flv",
    "video/mpeg",
    "video/x-ms-wmv",
    "video/3gpp",
]
DocumentMediaType: TypeAlias = Literal[
    "application/pdf",
    "text/plain",
    "text/markdown",
    "text/html",
    "text/csv",
    "application/msword",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.ms-excel",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
]

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_WORD, _SHEET, _SLIDES = (
    f"{_OFFICE}.{kind}" for kind in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
)

DOCUMENT_FORMATS: Final[Mapping[str, DocumentFormat]] = {
    "application/pdf": "pdf",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
    "application/msword": "doc",
    _WORD: "docx",
    "application/vnd.ms-excel": "xls",
    _SHEET: "xlsx",
}
# Where the name is not what stands behind the slash; older names of audio types mean the same.
_RENAMED: Final[Mapping[str, str]] = {
    "audio/mpeg": "mp3",
    "audio/ogg": "oga",
    "audio/x-wav": "wav",
    "video/quicktime": "mov",
    "video/x-matroska": "mkv",
    "video/x-flv": "flv",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_UNCHANGED: Final = frozenset(
    {f"image/{name}" for name in ("png", "jpeg", "gif", "webp")}
    | {f"audio/{name}" for name in ("mp3", "wav", "flac", "aac", "aiff")}
    | {f"video/{name}" for name in ("mp4", "webm", "mpeg")}
)

# The system's own table differs from machine to machine; a stored media type must not.
_MEDIA_TYPES = MimeTypes()
for _suffix, _type in {
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".m4a": "audio/mp4",
    ".flac": "audio/flac",
    ".aac": "audio/aac",
    ".aiff": "audio/aiff",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".flv": "video/x-flv",
    ".wmv": "video/x-ms-wmv",
    ".3gp": "video/3gpp",
    ".three_gp": "video/3gpp",
    ".md": "text/markdown",
    ".rtf": "application/rtf",
    ".toml": "application/toml",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".docx": _WORD,
    ".xlsx": _SHEET,
    ".pptx": _SLIDES,
}.items():
    _MEDIA_TYPES.add_type(_type, _suffix)


def guess_media_type(name_or_url: str) -> str | None:
    """The media type that a file's suffix, or a data URI, tells."""
    is_data = name_or_url.startswith("data:")
    return _MEDIA_TYPES.guess_type(name_or_url if is_data else urlsplit(name_or_url).path)[0]


def format_of(media_type: str) -> str:
    """The file format as providers name it, such as `png`; ValueError if it has no such name."""
    if (known := _known_format(media_type)) is None:
        raise ValueError(f"Unknown media type {media_type!r}: it has no format that providers know.")
    return known


def suffix_of(media_type: str) -> str:
    """A suffix for a file name, without the dot."""
    return _known_format(media_type) or _behind_slash(media_type)


def _known_format(media_type: str) -> str | None:
    if media_type in _UNCHANGED:
        return _behind_slash(media_type)
    return _RENAMED.get(media_type) or DOCUMENT_FORMATS.get(media_type)


def _behind_slash(media_type: str) -> str:
    return media_type.rpartition("/")[2]
