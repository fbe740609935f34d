"""Telling thinking from text when a model writes its thinking, in tags, among its text."""

from __future__ import annotations

from typing import Literal, NamedTuple


class TextPiece(NamedTuple):
    """A piece of the model's text, and what it is."""

    kind: Literal["text", "thinking"]
    content: str


class ThinkingTagSplitter:
    """Splits streamed text `…<think>…</think>…` into text and thinking, wherever the chunks are cut.

    Nothing but the tags is taken away. Thinking begins with its tag, by an empty piece if nothing follows yet; what is
    never closed is thinking, too.
    """

    def __init__(self, tags: tuple[str, str]):
        self._start_tag, self._end_tag = tags
        self._thinks = False
        self._held = ""

    def feed(self, content: str) -> list[TextPiece]:
        """The pieces that are certain after this chunk; what may be a part of a tag is held back."""
        pieces: list[TextPiece] = []
        before, tag, self._held = (self._held + content).partition(self._next_tag)
        while tag:
            self._add(pieces, before)
            self._thinks = not self._thinks
            if self._thinks:
                pieces.append(TextPiece("thinking", ""))
            before, tag, self._held = self._held.partition(self._next_tag)
        certain = len(before) - _overlap(before, self._next_tag)
        self._add(pieces, before[:certain])
        self._held = before[certain:]
        return pieces

    def finish(self) -> list[TextPiece]:
        """What is still held back when the stream ends."""
        pieces: list[TextPiece] = []
        self._add(pieces, self._held)
        return pieces

    @property
    def _next_tag(self) -> str:
        return self._end_tag if self._thinks else self._start_tag

    def _add(self, pieces: list[TextPiece], content: str) -> None:
        kind = "thinking" if self._thinks else "text"
        if content and pieces and pieces[-1].kind == kind:
            pieces[-1] = TextPiece(kind, pieces[-1].content + content)
        elif content:
            pieces.append(TextPiece(kind, content))


def split_thinking(content: str, tags: tuple[str, str]) -> list[TextPiece]:
    """Split a complete text."""
    splitter = ThinkingTagSplitter(tags)
    pieces = splitter.feed(content)
    rest = splitter.finish()
    if rest and pieces and pieces[-1].kind == rest[0].kind:
        pieces[-1] = TextPiece(rest[0].kind, pieces[-1].content + rest.pop().content)
    return [*pieces, *rest]


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-size:])), 0)
