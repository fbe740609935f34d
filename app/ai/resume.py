"""Taking up the open tool calls of a history with the answers given for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.ai.deferred import DeferredToolResults, answers_by_id
from app.ai.exceptions import UserError
from app.ai.history import last_response, open_calls
from app.ai.messages import ModelMessage, ModelResponse


def resumed_answers(
    history: Sequence[ModelMessage], results: DeferredToolResults
) -> tuple[ModelResponse, dict[str, Any]]:
    """The response whose calls are open, and the answer to each of them.

    Raises `UserError` unless the results answer exactly the open calls.
    """
    response = last_response(history)
    if response is None:
        raise UserError("deferred_tool_results need a message_history with the response whose calls they answer")
    expected = [call.tool_call_id for call in open_calls(history)]
    if not expected:
        raise UserError("deferred_tool_results were given, but no tool call of the message_history is open")
    answers = answers_by_id(results)
    if set(answers) != set(expected):
        raise UserError(
            "deferred_tool_results must answer exactly the open tool calls: "
            f"expected {sorted(expected)}, got {sorted(answers)}"
        )
    return response, answers
