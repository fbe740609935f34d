"""What a user or a tool can put before the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeGuard, cast

import pydantic
from pydantic import BeforeValidator
from typing_extensions import TypeVar

from app.ai.messages.files import AudioUrl, BinaryContent, DocumentUrl, ImageUrl, UploadedFile, VideoUrl
from app.ai.reprs import repr_without_defaults


@dataclass(repr=False)
class TextContent:
    """Text with metadata that is for the application and never sent to the model."""

    content: str
    _: KW_ONLY
    metadata: Any = None
    kind: Literal["text-content"] = "text-content"

    __repr__ = repr_without_defaults


@dataclass
class CachePoint:
    """Marks the end of a prefix that the provider shall cache; providers without the notion skip it."""

    _: KW_ONLY
    kind: Literal["cache-point"] = "cache-point"
    ttl: Literal["5m", "1h"] = "5m"


MultiModalContent: TypeAlias = Annotated[
    ImageUrl | DocumentUrl | AudioUrl | VideoUrl | BinaryContent | UploadedFile, pydantic.Discriminator("kind")
]
UserContent: TypeAlias = (
    str
    | Annotated[
        TextContent | ImageUrl | DocumentUrl | AudioUrl | VideoUrl | BinaryContent | UploadedFile | CachePoint,
        pydantic.Discriminator("kind"),
    ]
)

MULTI_MODAL_CONTENT_TYPES = (ImageUrl, DocumentUrl, AudioUrl, VideoUrl, BinaryContent, UploadedFile)

_MULTI_MODAL_KINDS = frozenset({"image-url", "document-url", "audio-url", "video-url", "binary", "uploaded-file"})
_MULTI_MODAL_KEYS = frozenset(
    {
        "url",
        "force_download",
        "data",
        "file_id",
        "provider_name",
        "vendor_metadata",
        "media_type",
        "identifier",
        "kind",
    }
)
_multi_modal_adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(
    MultiModalContent, config=pydantic.ConfigDict(defer_build=True)
)


def is_multi_modal_content(obj: Any) -> TypeGuard[MultiModalContent]:
    """Whether an object is a file or a link to one."""
    return isinstance(obj, MULTI_MODAL_CONTENT_TYPES)


def _restore_files(value: Any) -> Any:
    if isinstance(value, list):
        return [_restore_files(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value)
    if items.get("kind") in _MULTI_MODAL_KINDS and items.keys() <= _MULTI_MODAL_KEYS:
        try:
            return _multi_modal_adapter.validate_python(items)
        except pydantic.ValidationError:
            pass  # the tool's own data, which only resembles a file
    return {key: _restore_files(item) for key, item in items.items()}


ToolReturnContent: TypeAlias = Annotated[Any, BeforeValidator(_restore_files)]
"""Any JSON value; files anywhere inside survive the round trip."""


ReturnValueT = TypeVar("ReturnValueT", default=Any)


@dataclass(repr=False)
class ToolReturn(Generic[ReturnValueT]):
    """What a tool returns when the model shall see more than a value: `-> ToolReturn[int]` tells the value's type.

    `content` is sent to the model as user content after the tool's result; `metadata` is for the application only.
    """

    return_value: ToolReturnContent
    _: KW_ONLY
    content: str | Sequence[UserContent] | None = None
    metadata: Any = None
    kind: Literal["tool-return"] = "tool-return"

    __repr__ = repr_without_defaults
