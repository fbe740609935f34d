"""Exceptions of the core survive pickling and say what happened."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from app.ai import exceptions
from app.ai.messages import ModelResponse, RetryPromptPart

RETRY = RetryPromptPart("again", tool_name="t")


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ModelRetry("again"),
        exceptions.CallDeferred({"a": 1}),
        exceptions.ApprovalRequired({"a": 1}),
        exceptions.ToolRetryError(RETRY),
        exceptions.SkipModelRequest(ModelResponse([])),
        exceptions.SkipToolValidation({"a": 1}),
        exceptions.SkipToolExecution(1),
        exceptions.UserError("wrong"),
        exceptions.UsageLimitExceeded("too much"),
        exceptions.ConcurrencyLimitExceeded("too many"),
        exceptions.UnexpectedModelBehavior("odd", '{"a": 1}'),
        exceptions.ContentFilterError("filtered", "body"),
        exceptions.IncompleteToolCall("cut"),
        exceptions.ModelAPIError("gpt", "unreachable"),
        exceptions.ModelHTTPError(429, "gpt", {"message": "slow down"}),
        exceptions.ModelCoolingDown("gpt", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_survives_pickle_with_all_it_carries(error: Exception):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


def test_a_model_error_says_status_model_and_body():
    error = exceptions.ModelHTTPError(429, "gpt", {"message": "slow down"})
    assert (error.status_code, error.model_name) == (429, "gpt")
    assert all(word in str(error) for word in ("429", "gpt", "slow down"))
    assert isinstance(error, exceptions.ModelAPIError | exceptions.AgentRunError)


def test_unexpected_behavior_shows_the_body_readably():
    assert str(exceptions.UnexpectedModelBehavior("odd", '{"a":1}')) == 'odd, body:\n{\n  "a": 1\n}'
    assert str(exceptions.UnexpectedModelBehavior("odd", "<html>")) == "odd, body:\n<html>"
    assert str(exceptions.UnexpectedModelBehavior("odd")) == "odd"


def test_a_retry_signal_reads_as_what_is_wrong():
    assert str(exceptions.ToolRetryError(RETRY)) == RETRY.content
    wrong: list[Any] = [{"type": "missing", "loc": ("a", 0), "msg": "Field required", "input": {}}]
    assert str(exceptions.ToolRetryError(RetryPromptPart(wrong, tool_name="t"))) == (
        "1 validation error for t\na.0\n  Field required"
    )


def test_the_tree_of_exceptions_is_the_drawn_one():
    assert issubclass(exceptions.ModelHTTPError, exceptions.AgentRunError)
    assert issubclass(exceptions.ContentFilterError, exceptions.UnexpectedModelBehavior)
    assert issubclass(exceptions.AgentRunError, RuntimeError)
    assert not issubclass(exceptions.UserError, exceptions.AgentRunError)
    group = exceptions.FallbackExceptionGroup("all failed", [exceptions.ModelAPIError("a", "b")])
    assert isinstance(group, ExceptionGroup)
    drawn = exceptions.__doc__ or ""
    assert all(name in drawn for name in exceptions.__all__)
