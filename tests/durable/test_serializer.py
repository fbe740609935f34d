"""What DBOS stores is JSON that people read, and nothing in it can run code on the way back."""

import json
import math
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.durable.failures import RunError
from app.durable.serializer import HoldfastSerializer, dumps, loads, sanitized, to_json

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("ab$type\\é"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "$type", "fields"]), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_value_comes_back_equal(value: Any) -> None:
    assert loads(dumps(value)) == value


@pytest.mark.parametrize("value", [b"\x00\xff", datetime(2026, 11, 22, tzinfo=UTC), date(2026, 11, 22), ("a", [1])])
def test_values_beside_json_come_back(value: Any) -> None:
    expected = ["a", [1]] if isinstance(value, tuple) else value
    assert loads(dumps({"v": value})) == {"v": expected}


def test_an_exception_is_readable_json_and_comes_back_as_a_run_error() -> None:
    stored = dumps(ValueError("wrong\x00 number"))
    assert json.loads(stored)["type"] == "ValueError"
    back = loads(stored)
    assert isinstance(back, RunError)
    assert (back.type, back.message) == ("ValueError", "wrong\ufffd number")


def test_an_exception_whose_str_fails_is_still_stored() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert json.loads(dumps(Broken()))["message"] == "Broken"


def test_users_data_that_looks_like_a_tag_stays_data() -> None:
    looks_like_an_error = {"$type": "error", "type": "ValueError", "message": "x"}
    assert loads(dumps(looks_like_an_error)) == looks_like_an_error


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_json_are_refused(value: float) -> None:
    with pytest.raises(ValueError):
        dumps([value])
    with pytest.raises(ValueError):
        to_json({"a": value})


def test_objects_that_are_not_json_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="object is not JSON"):
        dumps({"a": object()})
    with pytest.raises(TypeError, match="keys are strings, got int"):
        dumps({1: "a"})


def test_what_postgres_cannot_hold_is_replaced_and_reported() -> None:
    assert sanitized({"a\x00": ["\ud800", 1]}) == ({"a\ufffd": ["\ufffd", 1]}, True)
    assert sanitized({"a": ["é", 1]}) == ({"a": ["é", 1]}, False)


def test_the_name_stored_with_each_row_is_ours() -> None:
    assert HoldfastSerializer().name() == "holdfast_json_v1"
