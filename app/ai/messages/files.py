"""Files that a user or a tool can put before the model: links, bytes, uploads."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import KW_ONLY, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    StrictBool,
    model_serializer,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from app.ai.messages.media_types import DOCUMENT_FORMATS, format_of, guess_media_type
from app.ai.reprs import repr_without_defaults

ForceDownloadMode: TypeAlias = StrictBool | Literal["allow-local"]
UploadedFileProviderName: TypeAlias = Literal["anthropic", "openai", "google-gla", "google-vertex", "bedrock", "xai"]
"""The providers whose files a message can refer to."""


def _describe_inferred(schema: dict[str, Any]) -> None:
    # What is written besides the fields, which pydantic cannot see.
    schema["properties"].setdefault("media_type", {"anyOf": [{"type": "string"}, {"type": "null"}]})
    schema["properties"].setdefault("identifier", {"type": "string"})


# A repr shows the fields by their own names, and reads back as it is.
_BY_BOTH_NAMES = ConfigDict(validate_by_name=True, validate_by_alias=True, json_schema_extra=_describe_inferred)


def _short_hash(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()[:6]


@pydantic_dataclass(init=False, repr=False, config=_BY_BOTH_NAMES)
class FileUrl:
    """A link to a file.

    `force_download` makes the client fetch the file and send its bytes, also from private addresses if
    "allow-local". The media type is inferred from the suffix when not given.
    """

    url: str
    _: KW_ONLY
    force_download: ForceDownloadMode = False
    vendor_metadata: dict[str, Any] | None = None
    _media_type: Annotated[str | None, Field(alias="media_type", exclude=True)] = field(default=None, compare=False)
    _identifier: Annotated[str | None, Field(alias="identifier", exclude=True)] = field(default=None, compare=False)
    kind: str = ""

    if TYPE_CHECKING:  # pydantic makes the real one

        def __init__(
            self,
            url: str,
            *,
            force_download: ForceDownloadMode = False,
            vendor_metadata: dict[str, Any] | None = None,
            media_type: str | None = None,
            identifier: str | None = None,
        ) -> None: ...

    @property
    def media_type(self) -> str:
        """The media type; ValueError when it was not given and the suffix does not tell it."""
        media_type = self._media_type or self._inferred_media_type()
        if media_type is None:
            raise ValueError(f"The media type of {self.url} is not clear from its suffix; give `media_type`.")
        return media_type

    @property
    def identifier(self) -> str:
        """A short stable name by which the model can refer to the file."""
        return self._identifier or _short_hash(self.url.encode())

    @property
    def format(self) -> str:
        """The file format as providers name it, such as `png`; ValueError if it has no such name."""
        return format_of(self.media_type)

    def _inferred_media_type(self) -> str | None:
        return guess_media_type(self.url)

    @model_serializer(mode="wrap")
    def _with_inferred_fields(
        self, handler: SerializerFunctionWrapHandler
    ):  # untyped: the schema stays that of the fields
        # Not a computed field: a link without a suffix must still be storable.
        media_type = self._media_type or self._inferred_media_type()
        return {**handler(self), "media_type": media_type, "identifier": self.identifier}

    __repr__ = repr_without_defaults


@pydantic_dataclass(init=False, repr=False, config=_BY_BOTH_NAMES)
class VideoUrl(FileUrl):
    """A link to a video."""

    _: KW_ONLY
    kind: Literal["video-url"] = "video-url"  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def is_youtube(self) -> bool:
        """Whether the link points to YouTube, which some providers read by themselves."""
        host = urlsplit(self.url).hostname or ""
        return host in ("youtu.be", "youtube.com") or host.endswith(".youtube.com")

    def _inferred_media_type(self) -> str | None:
        return "video/mp4" if self.is_youtube else super()._inferred_media_type()


@pydantic_dataclass(init=False, repr=False, config=_BY_BOTH_NAMES)
class AudioUrl(FileUrl):
    """A link to an audio file."""

    _: KW_ONLY
    kind: Literal["audio-url"] = "audio-url"  # pyright: ignore[reportIncompatibleVariableOverride]


@pydantic_dataclass(init=False, repr=False, config=_BY_BOTH_NAMES)
class ImageUrl(FileUrl):
    """A link to an image."""

    _: KW_ONLY
    kind: Literal["image-url"] = "image-url"  # pyright: ignore[reportIncompatibleVariableOverride]


@pydantic_dataclass(init=False, repr=False, config=_BY_BOTH_NAMES)
class DocumentUrl(FileUrl):
    """A link to a document."""

    _: KW_ONLY
    kind: Literal["document-url"] = "document-url"  # pyright: ignore[reportIncompatibleVariableOverride]


def _decode_bytes(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value.translate(_TO_STANDARD_ALPHABET), validate=True)
    except binascii.Error as err:
        raise ValueError("not valid base64") from err


def _encode_bytes(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode()


_TO_STANDARD_ALPHABET = str.maketrans("-_", "+/")

Base64Bytes: TypeAlias = Annotated[
    bytes, BeforeValidator(_decode_bytes), PlainSerializer(_encode_bytes, return_type=str, when_used="json")
]
"""Bytes that are base64 with the URL-safe alphabet in JSON; both alphabets are read."""


@pydantic_dataclass(init=False, repr=False, eq=False, config=_BY_BOTH_NAMES)
class BinaryContent:
    """A file's bytes, such as an image or a PDF."""

    data: Base64Bytes
    _: KW_ONLY
    media_type: str
    vendor_metadata: dict[str, Any] | None = None
    _identifier: Annotated[str | None, Field(alias="identifier", exclude=True)] = field(default=None, compare=False)
    kind: Literal["binary"] = "binary"

    if TYPE_CHECKING:  # pydantic makes the real one

        def __init__(
            self,
            data: bytes,
            *,
            media_type: str,
            identifier: str | None = None,
            vendor_metadata: dict[str, Any] | None = None,
        ) -> None: ...

    def __eq__(self, other: object) -> bool:
        # BinaryImage is a view on the same data, and JSON does not tell them apart.
        if not isinstance(other, BinaryContent):
            return NotImplemented
        return (self.data, self.media_type, self.vendor_metadata) == (
            other.data,
            other.media_type,
            other.vendor_metadata,
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def identifier(self) -> str:
        """A short stable name by which the model can refer to the file."""
        return self._identifier or _short_hash(self.data)

    @classmethod
    def from_data_uri(cls, data_uri: str) -> BinaryContent:
        """Read a `data:<media type>;base64,<data>` URI; ValueError for any other."""
        head, separator, encoded = data_uri.partition(";base64,")
        if not separator or not head.startswith("data:"):
            raise ValueError("A data URI has the form `data:<media type>;base64,<data>`.")
        media_type = head.removeprefix("data:")
        return cls.narrow_type(BinaryContent(data=_decode_bytes(encoded), media_type=media_type))

    @classmethod
    def from_path(cls, path: Path | str) -> BinaryContent:
        """Read a file; its suffix tells the media type. FileNotFoundError if there is none."""
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"There is no file {path}")
        media_type = guess_media_type(path.name) or "application/octet-stream"
        return cls.narrow_type(BinaryContent(data=path.read_bytes(), media_type=media_type))

    @staticmethod
    def narrow_type(binary: BinaryContent) -> BinaryContent:
        """The same content as a `BinaryImage` if it is an image."""
        if not binary.is_image or isinstance(binary, BinaryImage):
            return binary
        return BinaryImage(
            data=binary.data,
            media_type=binary.media_type,
            identifier=binary._identifier,
            vendor_metadata=binary.vendor_metadata,
        )

    @property
    def base64(self) -> str:
        """The data in standard base64, as provider APIs take it."""
        return base64.b64encode(self.data).decode()

    @property
    def data_uri(self) -> str:
        """The content as a `data:` URI."""
        return f"data:{self.media_type};base64,{self.base64}"

    @property
    def is_audio(self) -> bool:
        return self.media_type.startswith("audio/")

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")

    @property
    def is_video(self) -> bool:
        return self.media_type.startswith("video/")

    @property
    def is_document(self) -> bool:
        return self.media_type in DOCUMENT_FORMATS

    @property
    def format(self) -> str:
        """The file format as providers name it, such as `png`; ValueError if it has no such name."""
        return format_of(self.media_type)

    @model_serializer(mode="wrap")
    def _with_identifier(self, handler: SerializerFunctionWrapHandler):
        return {**handler(self), "identifier": self.identifier}

    __repr__ = repr_without_defaults


@pydantic_dataclass(init=False, repr=False, eq=False, config=_BY_BOTH_NAMES)
class BinaryImage(BinaryContent):
    """An image's bytes; also an output type that asks the model for an image."""

    def __post_init__(self) -> None:
        if not self.is_image:
            raise ValueError(f"A BinaryImage needs a media type image/*, not {self.media_type}.")


def _narrowed(binary: BinaryContent) -> BinaryContent:
    return BinaryContent.narrow_type(binary)


NarrowedBinary: TypeAlias = Annotated[BinaryContent, AfterValidator(_narrowed)]
"""Binary content that becomes a `BinaryImage` on load if it is an image."""


@pydantic_dataclass(init=False, repr=False, config=_BY_BOTH_NAMES)
class UploadedFile:
    """A file that was uploaded to a provider before; only that provider can read it."""

    file_id: str
    provider_name: UploadedFileProviderName | str
    _: KW_ONLY
    vendor_metadata: dict[str, Any] | None = None
    _media_type: Annotated[str | None, Field(alias="media_type", exclude=True)] = field(default=None, compare=False)
    _identifier: Annotated[str | None, Field(alias="identifier", exclude=True)] = field(default=None, compare=False)
    kind: Literal["uploaded-file"] = "uploaded-file"

    if TYPE_CHECKING:  # pydantic makes the real one

        def __init__(
            self,
            file_id: str,
            provider_name: str,
            *,
            media_type: str | None = None,
            vendor_metadata: dict[str, Any] | None = None,
            identifier: str | None = None,
        ) -> None: ...

    @property
    def media_type(self) -> str:
        """The media type, inferred from the file id's suffix when not given."""
        return self._media_type or guess_media_type(self.file_id) or "application/octet-stream"

    @property
    def identifier(self) -> str:
        """A short stable name by which the model can refer to the file."""
        return self._identifier or _short_hash(self.file_id.encode())

    @property
    def format(self) -> str:
        """The file format as providers name it, such as `png`; ValueError if it has no such name."""
        return format_of(self.media_type)

    @model_serializer(mode="wrap")
    def _with_inferred_fields(
        self, handler: SerializerFunctionWrapHandler
    ):  # untyped: the schema stays that of the fields
        return {**handler(self), "media_type": self.media_type, "identifier": self.identifier}

    __repr__ = repr_without_defaults
