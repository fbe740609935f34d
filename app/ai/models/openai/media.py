"""Pictures and speech in Chat Completions answers."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from app.ai.messages import BinaryContent, FilePart


class Audio(BaseModel):
    """Speech, whole or a piece of it."""

    id: str | None = None
    data: str | None = None
    transcript: str | None = None


class Speech:
    """Speech that is put together from its pieces."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._data = bytearray()

    def add(self, piece: Audio | None) -> None:
        """Take a piece, or the whole, in; what is no base64 is left out."""
        if piece is None:
            return
        self._id = self._id or piece.id
        if piece.data:
            with suppress(ValueError):
                self._data += base64.b64decode(piece.data)

    def as_part(self) -> FilePart | None:
        """The whole. The request says in which format it comes; the answer does not."""
        if not self._data:
            return None
        return FilePart(BinaryContent(bytes(self._data), media_type="audio/wav"), id=self._id)


def made_files(images: Sequence[Mapping[str, Any]] | None, speech: Speech) -> Iterator[FilePart]:
    """Pictures and speech of an answer."""
    for image in images or ():
        place: dict[str, Any] = image.get("image_url") or {}
        url = place.get("url")
        if isinstance(url, str) and url.startswith("data:"):
            with suppress(ValueError):
                yield FilePart(BinaryContent.from_data_uri(url))
    if sound := speech.as_part():
        yield sound
