"""Whatever a history holds, it is tidied, counted and resent without loss."""

from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.ai.history import close_open_calls, merge_messages, open_calls, tidy_history, with_unique_call_ids
from app.ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelRequest, ModelResponse, ToolCallPart
from app.ai.models.estimated_usage import estimate_usage
from tests.ai.message_strategies import messages

histories = st.lists(messages, max_size=4)
few = settings(max_examples=40)


def parts_of(history: list[ModelMessage]) -> Counter[str]:
    return Counter(repr(part) for message in history for part in message.parts)


def may_not_merge(first: ModelMessage, second: ModelMessage) -> bool:
    if isinstance(first, ModelRequest) and isinstance(second, ModelRequest):
        return bool(first.instructions and second.instructions and first.instructions != second.instructions)
    if isinstance(first, ModelResponse) and isinstance(second, ModelResponse):
        return any(one.model_name or one.provider_name or one.provider_response_id for one in (first, second))
    return True


@few
@given(histories)
def test_merging_keeps_every_part_and_leaves_nothing_to_merge(history: list[Any]):
    before = deepcopy(history)
    merged = merge_messages(history)
    assert history == before
    assert parts_of(merged) == parts_of(history)
    assert all(may_not_merge(first, second) for first, second in pairwise(merged))
    assert merge_messages(merged) == merged


@few
@given(histories)
def test_a_tidied_history_has_no_open_calls_of_an_interrupted_response(history: list[Any]):
    before = deepcopy(history)
    tidied = tidy_history(history)
    assert history == before
    responses = [message for message in tidied if isinstance(message, ModelResponse)]
    if responses and responses[-1].state != "complete":
        assert not open_calls(tidied)
        for call in responses[-1].tool_calls:
            call.args_as_dict(raise_if_invalid=True)
    assert tidy_history(tidied) == merge_messages(tidied)


@few
@given(histories)
def test_a_closed_history_has_no_open_calls(history: list[Any]):
    closed = close_open_calls(history)
    assert not open_calls(closed)
    assert [message for message in closed if message in history] == history


@given(st.lists(st.sampled_from(["a", "b", "a-2"]), max_size=6))
def test_call_ids_become_unique_and_the_first_of_each_stays(ids: list[str]):
    response = with_unique_call_ids(ModelResponse([ToolCallPart("t", {}, id) for id in ids]))
    made = [call.tool_call_id for call in response.tool_calls]
    assert len(set(made)) == len(ids)
    assert set(ids) <= set(made)


@few
@given(histories)
def test_the_estimated_usage_of_a_history_outlives_json(history: list[Any]):
    usage = estimate_usage(history)
    assert usage.input_tokens >= 50
    again = ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(history))
    assert estimate_usage(again) == usage
