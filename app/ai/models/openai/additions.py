"""What servers add to a Chat Completions answer: citations, calls of tools that they ran, details of the reasoning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from app.ai.messages import ModelResponsePart, NativeToolCallPart, NativeToolReturnPart

Detail: TypeAlias = dict[str, Any]

REASONING_DETAILS = "reasoning_details"
"""Where a thinking part keeps what OpenRouter wants back of it, signatures included."""

CUSTOM = "custom"
"""Marks a call of a tool that takes free text, which stands as the argument `input` with us."""

EXTRA_CONTENT = "extra_content"
"""Where a call keeps what Gemini wants back of it."""

_TOOL_NAMES = {"search": "web_search", "python": "code_execution", "visit": "web_fetch"}
_GROWING = ("text", "summary", "data")


def merge_reasoning_details(known: Sequence[Detail], new: Sequence[Detail]) -> list[Detail]:
    """Details with the pieces of a stream added to them; pieces of one detail share its index and type."""
    merged = [*known]
    for piece in new:
        name = (piece.get("index"), piece.get("type"))
        at = next((i for i, detail in enumerate(merged) if (detail.get("index"), detail.get("type")) == name), None)
        if at is None or name[0] is None:
            merged.append(piece)
        else:
            merged[at] = _merged(merged[at], piece)
    return merged


def _merged(detail: Detail, piece: Detail) -> Detail:
    given = {key: value for key, value in piece.items() if value is not None}
    grown = {key: (detail.get(key) or "") + given[key] for key in _GROWING if key in given}
    return {**detail, **given, **grown}


@dataclass
class Additions:
    """What came beside the text of an answer, whole or in pieces."""

    head: object = None
    """What the newest piece said about its server."""
    _annotations: list[Any] = field(default_factory=list[Any])
    _logprobs: list[Any] = field(default_factory=list[Any])
    _filtered: dict[str, Any] = field(default_factory=dict[str, Any])
    _sources: dict[str, Any] = field(default_factory=dict[str, Any])
    _executed: dict[Any, Detail] = field(default_factory=dict[Any, Detail])

    def note(self, annotations: Sequence[Any] | None, executed_tools: Sequence[Detail] | None) -> None:
        """Take in what a message, or a piece of one, brought. A finished call replaces its announcement."""
        self._annotations += annotations or []
        for number, tool in enumerate(executed_tools or []):
            place = tool.get("index", number)
            self._executed[place] = {**self._executed.get(place, {}), **tool}

    def note_choice(self, logprobs: Any, content_filter: Any) -> bool:
        """Take in what stands beside the text, say whether there was anything; pieces of a stream add up."""
        tokens = cast("dict[str, Any]", logprobs).get("content") if isinstance(logprobs, dict) else None
        if isinstance(tokens, list):
            self._logprobs += cast("list[Any]", tokens)
        if isinstance(content_filter, dict):
            self._filtered |= cast("dict[str, Any]", content_filter)
        return tokens is not None or content_filter is not None

    def note_sources(self, **sources: Any) -> bool:
        """Take in what stands beside the message, say whether it was anything new; newer lists replace older ones."""
        given = {key: value for key, value in sources.items() if value is not None}
        is_new = any(self._sources.get(key) != value for key, value in given.items())
        self._sources |= given
        return is_new

    def details(self) -> dict[str, Any]:
        """All that has no part of its own."""
        beside = {
            "annotations": self._annotations,
            "logprobs": self._logprobs,
            "content_filter_results": self._filtered,
        }
        return {key: value for key, value in beside.items() if value} | self._sources

    def native_parts(self, provider_name: str) -> list[ModelResponsePart]:
        """Calls and results of the tools that the server ran; they are told, but not told back."""
        parts: list[ModelResponsePart] = []
        for executed in self._executed.values():
            kind = str(executed.get("type", "tool"))
            call = NativeToolCallPart(
                _TOOL_NAMES.get(kind, kind), executed.get("arguments"), provider_name=provider_name
            )
            parts += [call, _result(call, executed, provider_name)]
        return parts


def _result(call: NativeToolCallPart, executed: Mapping[str, Any], provider_name: str) -> NativeToolReturnPart:
    content = {key: value for key, value in executed.items() if key not in ("type", "arguments", "index")}
    return NativeToolReturnPart(call.tool_name, content, call.tool_call_id, provider_name=provider_name)
