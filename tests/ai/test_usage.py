"""Usage adds up, and limits stop a run in time."""

from __future__ import annotations

from typing import cast

import pytest
from pydantic import TypeAdapter

from app.ai.exceptions import UsageLimitExceeded
from app.ai.usage import (
    RequestUsage,
    RunUsage,
    Usage,  # pyright: ignore[reportDeprecated]
    UsageLimits,
)


def test_a_runs_usage_grows_by_its_requests_without_counting_them():
    usage = RunUsage(requests=1, input_tokens=1, details={"reasoning_tokens": 1})
    usage.incr(RequestUsage(input_tokens=2, output_tokens=3, cache_read_tokens=4, details={"reasoning_tokens": 5}))
    assert usage == RunUsage(
        requests=1, input_tokens=3, output_tokens=3, cache_read_tokens=4, details={"reasoning_tokens": 6}
    )
    assert usage.total_tokens == 6


def test_adding_leaves_both_sides_alone():
    first, second = RequestUsage(details={"a": 1}), RequestUsage(output_tokens=1, details={"a": 2, "b": 3})
    assert first + second == RequestUsage(output_tokens=1, details={"a": 3, "b": 3})
    assert first == RequestUsage(details={"a": 1})
    run = RunUsage(requests=1, tool_calls=2)
    assert run + RunUsage(requests=3, tool_calls=4) == RunUsage(requests=4, tool_calls=6)
    assert run == RunUsage(requests=1, tool_calls=2)


def test_details_without_a_count_are_left_out_of_a_sum():
    uncounted = RunUsage(details={"a": 1})
    uncounted.details["b"] = cast("int", None)
    assert RunUsage(details={"a": 2}) + uncounted == RunUsage(details={"a": 3})


def test_usage_knows_whether_anything_was_counted():
    assert not RequestUsage().has_values()
    assert RunUsage(tool_calls=1).has_values()
    assert RequestUsage(details={"a": 1}).has_values()
    assert RequestUsage().requests == 1
    assert repr(RunUsage(requests=1)) == "RunUsage(requests=1)"


def test_usage_has_names_for_opentelemetry():
    usage = RequestUsage(
        input_tokens=1,
        output_tokens=2,
        cache_write_tokens=3,
        cache_read_tokens=4,
        input_audio_tokens=5,
        details={"x": 6, "y": 0},
    )
    assert usage.opentelemetry_attributes() == {
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_creation.input_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.details.input_audio_tokens": 5,
        "gen_ai.usage.details.x": 6,
    }


def test_requests_are_limited_to_fifty_unless_told_otherwise():
    UsageLimits().check_before_request(RunUsage(requests=49))
    with pytest.raises(UsageLimitExceeded, match="request_limit of 50"):
        UsageLimits().check_before_request(RunUsage(requests=50))
    UsageLimits(request_limit=None).check_before_request(RunUsage(requests=1000))


@pytest.mark.parametrize(
    ("limits", "usage"),
    [
        (UsageLimits(input_tokens_limit=5), RunUsage(input_tokens=6)),
        (UsageLimits(total_tokens_limit=5), RunUsage(input_tokens=3, output_tokens=3)),
    ],
)
def test_input_and_total_tokens_are_checked_before_and_after_a_request(limits: UsageLimits, usage: RunUsage):
    assert limits.has_token_limits()
    for check in (limits.check_before_request, limits.check_tokens):
        with pytest.raises(UsageLimitExceeded, match="tokens_limit of 5"):
            check(usage)


def test_a_limit_that_is_just_reached_is_kept():
    limits = UsageLimits(output_tokens_limit=5, tool_calls_limit=2)
    limits.check_tokens(RunUsage(output_tokens=5))
    limits.check_before_tool_call(RunUsage(tool_calls=2))
    with pytest.raises(UsageLimitExceeded, match="output_tokens=6"):
        limits.check_tokens(RunUsage(output_tokens=6))
    with pytest.raises(UsageLimitExceeded, match="tool_calls_limit of 2"):
        limits.check_before_tool_call(RunUsage(tool_calls=3))


def test_output_tokens_are_no_reason_to_refuse_the_next_request():
    UsageLimits(output_tokens_limit=5).check_before_request(RunUsage(output_tokens=6))
    assert not UsageLimits().has_token_limits()


def test_older_names_of_the_counters_warn():
    usage = RequestUsage(input_tokens=3, output_tokens=4)
    with pytest.warns(DeprecationWarning, match="input_tokens"):
        assert usage.request_tokens == 3  # pyright: ignore[reportDeprecated]
    with pytest.warns(DeprecationWarning, match="output_tokens"):
        assert usage.response_tokens == 4  # pyright: ignore[reportDeprecated]


def test_the_older_name_of_a_runs_usage_warns():
    with pytest.warns(DeprecationWarning, match="RunUsage"):
        usage = Usage(requests=1)  # pyright: ignore[reportDeprecated]
    assert isinstance(usage, RunUsage)
    assert usage.requests == 1


def test_limits_take_their_older_names():
    limits = UsageLimits(request_tokens_limit=1, response_tokens_limit=2)
    assert limits == UsageLimits(input_tokens_limit=1, output_tokens_limit=2)
    assert repr(limits) == "UsageLimits(input_tokens_limit=1, output_tokens_limit=2)"
    with pytest.warns(DeprecationWarning, match="input_tokens_limit"):
        assert limits.request_tokens_limit == 1  # pyright: ignore[reportDeprecated]
    with pytest.warns(DeprecationWarning, match="output_tokens_limit"):
        assert limits.response_tokens_limit == 2  # pyright: ignore[reportDeprecated]
    adapter = TypeAdapter(UsageLimits)
    assert adapter.validate_json(adapter.dump_json(limits)) == limits
