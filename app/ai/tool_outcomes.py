"""What can come of a tool call: an answer for the model, a deferral, or the end of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, cast

from app.ai.deferred import OUTCOME_UNKNOWN, ToolDenied
from app.ai.exceptions import IncompleteToolCall, ModelRetry, UnexpectedModelBehavior, UserError
from app.ai.messages import ModelResponse, RetryPromptPart, ToolCallPart, ToolReturn, ToolReturnPart, UserContent
from app.ai.texts import TOOL_NOT_EXECUTED, TOOL_OUTCOME_UNKNOWN
from app.ai.tool_manager import retry_error


@dataclass
class Answered:
    """The answer to a call, and what a user would show beside it."""

    part: ToolReturnPart | RetryPromptPart
    content: str | Sequence[UserContent] | None = None


@dataclass
class Deferred:
    """A call that has to be answered outside the run."""

    kind: Literal["external", "unapproved"]
    metadata: dict[str, Any] | None

    @property
    def was_lost(self) -> bool:
        """Whether the call was begun, and nobody knows what came of it."""
        return (self.metadata or {}).get("waiting_for") == OUTCOME_UNKNOWN


ToolOutcome: TypeAlias = Answered | Deferred


def answer_of(call: ToolCallPart, value: Any) -> Answered:
    """The answer to a call, made of what a tool returned or what somebody outside the run answered."""
    match value:
        case ToolReturn():
            return Answered(_returned(call, value.return_value, value.metadata), value.content)
        case ToolReturnPart():
            return Answered(replace(value, tool_name=call.tool_name, tool_call_id=call.tool_call_id))
        case ToolDenied():
            return Answered(ToolReturnPart(call.tool_name, value.message, call.tool_call_id, outcome="denied"))
        case ModelRetry():
            return Answered(retry_error(call, value).tool_retry)
        case RetryPromptPart():
            return Answered(RetryPromptPart(value.content, tool_name=call.tool_name, tool_call_id=call.tool_call_id))
        case list() if any(isinstance(item, ToolReturn) for item in cast("list[Any]", value)):
            raise UserError(
                f"Tool {call.tool_name!r} returned a list with ToolReturn in it; "
                "return one ToolReturn and put the list into its `return_value`"
            )
        case _:
            return Answered(_returned(call, value))


def _returned(call: ToolCallPart, value: Any, metadata: Any = None) -> ToolReturnPart:
    part = ToolReturnPart(call.tool_name, value, call.tool_call_id, tool_kind=call.tool_kind, metadata=metadata)
    return ToolReturnPart.narrow_type(part)


def answer_of_unused(call: ToolCallPart, deferral: Deferred) -> Answered:
    """The answer to a call that was deferred although the run has its result already."""
    if deferral.was_lost:
        part = ToolReturnPart(call.tool_name, TOOL_OUTCOME_UNKNOWN, call.tool_call_id, outcome="failed")
    else:
        part = not_executed(call)
    return Answered(part)


def not_executed(call: ToolCallPart) -> ToolReturnPart:
    """The answer to a call that is not made because the run has its result already."""
    return ToolReturnPart(call.tool_name, TOOL_NOT_EXECUTED, call.tool_call_id)


def budget_exceeded(message: str, response: ModelResponse) -> UnexpectedModelBehavior:
    """Why the run fails after one retry too many; a response that was cut off explains it best."""
    last = response.parts[-1] if response.parts else None
    if response.finish_reason == "length" and isinstance(last, ToolCallPart):
        try:
            last.args_as_dict(raise_if_invalid=True)
        except ValueError:
            return IncompleteToolCall(
                f"The token limit cut the response off inside the arguments of tool {last.tool_name!r}; "
                "raise `max_tokens`, or ask for less in one call"
            )
    return UnexpectedModelBehavior(message)
