"""Telling thinking from text when a model writes its thinking, in tags, at the head of its text."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

_State: TypeAlias = Literal["start", "thinking", "text"]


class TextPiece(NamedTuple):
    """A piece of the model's text, and what it is."""

    kind: Literal["text", "thinking"]
    content: str


class ThinkingTagSplitter:
    """Splits streamed text `<think>…</think>…` into thinking and text, wherever the chunks are cut.

    Only tags at the very start count: a model may well write about the tags later on.
    """

    def __init__(self, tags: tuple[str, str]):
        self._start_tag, self._end_tag = tags
        self._state: _State = "start"
        self._held = ""
        self._after_tag = False

    def feed(self, content: str) -> list[TextPiece]:
        """The pieces that are certain after this chunk; what may be a part of a tag is held back."""
        self._held += content
        pieces: list[TextPiece] = []
        if self._state == "start":
            self._state = self._after_start()
        if self._state == "thinking":
            self._strip_newlines()
            pieces.append(self._take_thinking())
        if self._state == "text":
            self._strip_newlines()
            pieces.append(TextPiece("text", self._take(len(self._held))))
        return [piece for piece in pieces if piece.content]

    def finish(self) -> list[TextPiece]:
        """What is still held back when the stream ends."""
        rest = TextPiece("thinking" if self._state == "thinking" else "text", self._take(len(self._held)))
        return [rest] if rest.content else []

    def _after_start(self) -> _State:
        stripped = self._held.lstrip()
        if stripped.startswith(self._start_tag):
            self._held = stripped.removeprefix(self._start_tag)
            self._after_tag = True
            return "thinking"
        return "start" if self._start_tag.startswith(stripped) else "text"

    def _take_thinking(self) -> TextPiece:
        thought, end_tag, rest = self._held.partition(self._end_tag)
        if not end_tag:
            return TextPiece("thinking", self._take(len(self._held) - _overlap(self._held, self._end_tag)))
        self._held = rest
        self._state = "text"
        self._after_tag = True
        return TextPiece("thinking", thought)

    def _strip_newlines(self) -> None:
        """Models set their tags on lines of their own; the line breaks belong to neither side."""
        if self._after_tag:
            self._held = self._held.lstrip("\n")
            self._after_tag = not self._held

    def _take(self, size: int) -> str:
        taken, self._held = self._held[:size], self._held[size:]
        return taken


def split_thinking(content: str, tags: tuple[str, str]) -> list[TextPiece]:
    """Split a complete text."""
    splitter = ThinkingTagSplitter(tags)
    return [*splitter.feed(content), *splitter.finish()]


def _overlap(text: str, tag: str) -> int:
    """How many characters at the end of the text may be the beginning of the tag."""
    return next((size for size in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-size:])), 0)
