"""Parts are assembled from deltas, and thinking is told from text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ai.exceptions import UnexpectedModelBehavior
from app.ai.messages import (
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from app.ai.parts import ModelResponsePartsManager
from app.ai.thinking_tags import ThinkingTagSplitter, split_thinking

TAGS = ("<think>", "</think>")


def test_a_delta_without_an_id_continues_the_newest_part_of_its_kind():
    parts = ModelResponsePartsManager()
    parts.handle_text_delta(vendor_part_id=None, content="a")
    parts.handle_text_delta(vendor_part_id=None, content="b")
    parts.handle_thinking_delta(vendor_part_id=None, content="hm")
    parts.handle_text_delta(vendor_part_id=None, content="c")
    assert parts.get_parts() == [TextPart("ab"), ThinkingPart("hm"), TextPart("c")]


def test_ids_keep_interleaved_parts_apart():
    parts = ModelResponsePartsManager()
    for key, text in ((0, "a"), (1, "x"), (0, "b"), (1, "y")):
        parts.handle_text_delta(vendor_part_id=key, content=text)
    assert parts.get_parts() == [TextPart("ab"), TextPart("xy")]


def test_a_call_starts_once_its_name_is_known():
    parts = ModelResponsePartsManager()
    assert parts.handle_tool_call_delta(vendor_part_id=1, args='{"a"', tool_call_id="c") == []
    assert parts.get_parts() == []
    assert parts.handle_tool_call_delta(vendor_part_id=1, tool_name="t", args=":1") == [
        PartStartEvent(index=0, part=ToolCallPart("t", '{"a":1', "c"))
    ]
    assert parts.handle_tool_call_delta(vendor_part_id=1, args="}") == [
        PartDeltaEvent(index=0, delta=ToolCallPartDelta(args_delta="}", tool_call_id="c"))
    ]
    assert parts.finish() == []


def test_a_name_without_an_id_starts_another_call():
    parts = ModelResponsePartsManager()
    for name, args in (("t", "{"), (None, "}"), ("t", "{}")):
        parts.handle_tool_call_delta(vendor_part_id=None, tool_name=name, args=args)
    assert [part.args for part in parts.get_parts() if isinstance(part, ToolCallPart)] == ["{}", "{}"]


def test_a_call_that_never_gets_a_name_is_an_error():
    parts = ModelResponsePartsManager()
    parts.handle_tool_call_delta(vendor_part_id=1, args="{}")
    with pytest.raises(UnexpectedModelBehavior, match="no name"):
        parts.finish()


def test_a_whole_part_replaces_the_one_with_its_id():
    parts = ModelResponsePartsManager()
    parts.handle_tool_call_part(vendor_part_id="x", tool_name="t", args="{}", tool_call_id="c")
    [event] = parts.handle_part(vendor_part_id="x", part=TextPart("instead"))
    assert event == PartStartEvent(index=0, part=TextPart("instead"))
    assert parts.get_parts() == [TextPart("instead")]


def test_a_part_cannot_change_its_kind_by_a_delta():
    parts = ModelResponsePartsManager()
    parts.handle_text_delta(vendor_part_id=0, content="a")
    with pytest.raises(UnexpectedModelBehavior, match="text"):
        parts.handle_thinking_delta(vendor_part_id=0, content="hm")


def test_blank_text_before_a_part_can_be_ignored():
    parts = ModelResponsePartsManager()
    assert parts.handle_text_delta(vendor_part_id=None, content="\n", ignore_leading_whitespace=True) == []
    parts.handle_text_delta(vendor_part_id=None, content="a", ignore_leading_whitespace=True)
    parts.handle_text_delta(vendor_part_id=None, content="\n", ignore_leading_whitespace=True)
    assert parts.get_parts() == [TextPart("a\n")]


def test_a_signature_closes_a_thought():
    parts = ModelResponsePartsManager()
    parts.handle_thinking_delta(vendor_part_id=0, content="hm", provider_details=lambda old: {"n": 1})
    parts.handle_thinking_delta(vendor_part_id=0, signature="s")
    assert parts.get_parts() == [ThinkingPart("hm", signature="s", provider_details={"n": 1})]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello", [("text", "Hello")]),
        ("<think>\nHm\n</think>\n\nYes", [("thinking", "\nHm\n"), ("text", "\n\nYes")]),
        ("So <think>Hm</think>Yes", [("text", "So "), ("thinking", "Hm"), ("text", "Yes")]),
        ("<think>never closed </th", [("thinking", "never closed </th")]),
        ("Yes <thi", [("text", "Yes <thi")]),
        ("<think></think>Yes", [("thinking", ""), ("text", "Yes")]),
        ("<think>", [("thinking", "")]),
        ("", []),
    ],
)
def test_what_stands_in_tags_is_thinking(text: str, pieces: list[Any]):
    assert split_thinking(text, TAGS) == pieces


@given(st.lists(st.sampled_from(["<think>", "</think>", "<", "</th", "ink>", "a", "\n", "b c"]), max_size=8), st.data())
def test_the_cut_into_chunks_changes_nothing(words: list[str], data: st.DataObject):
    text = "".join(words)
    splitter, fed, start = ThinkingTagSplitter(TAGS), [], 0
    while start < len(text):
        end = data.draw(st.integers(start + 1, len(text)))
        fed += splitter.feed(text[start:end])
        start = end
    fed += splitter.finish()

    def joined(pieces: list[Any]) -> dict[str, str]:
        return {kind: "".join(piece.content for piece in pieces if piece.kind == kind) for kind in ("thinking", "text")}

    assert joined(fed) == joined(split_thinking(text, TAGS))


def test_thinking_starts_with_its_tag():
    parts = ModelResponsePartsManager()
    chunks = ["<think>", "\n", "Hm", "</think>", "\n\nYes"]
    events = [parts.handle_text_delta(vendor_part_id=None, content=chunk, thinking_tags=TAGS) for chunk in chunks]
    assert events == [
        [PartStartEvent(index=0, part=ThinkingPart(""))],
        [PartDeltaEvent(index=0, delta=ThinkingPartDelta(content_delta="\n"))],
        [PartDeltaEvent(index=0, delta=ThinkingPartDelta(content_delta="Hm"))],
        [],
        [PartStartEvent(index=1, part=TextPart("\n\nYes"))],
    ]
    assert parts.get_parts() == [ThinkingPart("\nHm"), TextPart("\n\nYes")]
