"""What a request means: fingerprints, cursors, and values that cannot be stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ai.usage import UsageLimits
from app.db.runs import PagePosition
from app.errors import Invalid
from app.runs.cursor import from_cursor, to_cursor
from app.runs.requests import StartRun
from app.runs.text import find_unstorable


def fingerprint(**body: Any) -> str:
    return StartRun.model_validate({"agent": "demo", "prompt": "x", **body}).fingerprint()


def test_requests_that_mean_the_same_have_one_fingerprint() -> None:
    assert fingerprint() == fingerprint(model=None, on_busy="reject", metadata=None)
    assert fingerprint(metadata={"a": 1, "b": 2}) == fingerprint(metadata={"b": 2, "a": 1})


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "y"},
        {"prompt": ["x"]},
        {"model": "openai:gpt"},
        {"metadata": {"a": 1}},
        {"usage_limits": {"request_limit": 3}},
        {"timeout": 5},
        {"conversation_id": "c"},
    ],
)
def test_requests_that_differ_have_other_fingerprints(other: dict[str, Any]) -> None:
    assert fingerprint() != fingerprint(**other)


def test_only_limits_that_were_given_are_handed_on() -> None:
    request = StartRun.model_validate(
        {"agent": "demo", "prompt": "x", "usage_limits": {"request_limit": None, "tool_calls_limit": 3}}
    )
    assert request.limits() == UsageLimits(request_limit=None, tool_calls_limit=3)


@given(created_at=st.integers(0, 10**15 - 1), run_id=st.uuids().map(str))
def test_a_cursor_leads_back_to_its_position(created_at: int, run_id: str) -> None:
    position = PagePosition(created_at=created_at, run_id=run_id)
    assert from_cursor(to_cursor(position)) == position


@given(st.text())
def test_any_other_text_is_no_cursor(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_cursor(f"!{text}")
    assert (refused.value.type, refused.value.field) == ("malformed_cursor", "cursor")


def test_the_last_page_has_no_cursor() -> None:
    assert to_cursor(None) is None
    assert from_cursor(None) is None


TEXT = st.text(st.characters(), max_size=5)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | TEXT, nested, max_leaves=10)


@given(JSON)
def test_what_is_not_complained_about_has_no_nul_surrogate_or_infinity(value: Any) -> None:
    def storable(part: Any) -> bool:
        match part:
            case str():
                return "\0" not in part and not any("\ud800" <= letter <= "\udfff" for letter in part)
            case float():
                return part - part == 0
            case list():
                return all(map(storable, part))
            case dict():
                return all(map(storable, part)) and all(map(storable, part.values()))
            case _:
                return True

    assert (find_unstorable(value) is None) == storable(value)


def test_the_first_bad_value_is_named_by_its_path() -> None:
    found = find_unstorable({"a": ["fine", {"b": "not\0fine"}], "c": "\0"})
    assert found is not None
    assert found.field == "a[1].b"
