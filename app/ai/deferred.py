"""Tool calls that are answered outside the run: what a run asks for, and the answers that it is resumed with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, TypeAlias, cast

from pydantic import Discriminator, Tag

from app.ai.exceptions import ModelRetry, UserError
from app.ai.messages import RetryPromptPart, ToolCallPart, ToolReturn
from app.ai.texts import TOOL_CALL_DENIED

__all__ = (
    "DeferredToolApprovalResult",
    "DeferredToolCallResult",
    "DeferredToolRequests",
    "DeferredToolResult",
    "DeferredToolResults",
    "ToolApproved",
    "ToolDenied",
)


DEFERRED_NOT_ALLOWED = (
    "A tool call must be answered outside the run, but DeferredToolRequests is not among the output types; "
    "add it to `output_type`"
)
"""Why a run fails that has nobody to answer such calls."""

OUTCOME_UNKNOWN: Final = "outcome_unknown"
"""What a call waits for, in its metadata, that was begun and of which nobody knows what came of it."""


@dataclass(kw_only=True)
class ToolApproved:
    """The call may be made, with other arguments if given."""

    override_args: dict[str, Any] | None = None
    kind: Literal["tool-approved"] = "tool-approved"


@dataclass
class ToolDenied:
    """The call may not be made; the model reads the message instead of a result."""

    message: str = TOOL_CALL_DENIED
    kind: Literal["tool-denied"] = "tool-denied"


def _kind_of(value: Any) -> str:
    """Which kind of answer a value is: an object of ours, its JSON form, or a plain value."""
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        kind = fields.get("kind", fields.get("part_kind"))
    elif isinstance(value, ModelRetry):
        kind = "model-retry"
    else:
        kind = getattr(value, "kind", None) or getattr(value, "part_kind", None)
    return kind if kind in _ANSWER_KINDS else "value"


_ANSWER_KINDS = ("tool-approved", "tool-denied", "tool-return", "model-retry", "retry-prompt")

DeferredToolApprovalResult: TypeAlias = Annotated[ToolApproved | ToolDenied, Discriminator("kind")]
"""What a person decided on a call."""

DeferredToolCallResult: TypeAlias = Annotated[
    Annotated[ToolReturn, Tag("tool-return")]
    | Annotated[ModelRetry, Tag("model-retry")]
    | Annotated[RetryPromptPart, Tag("retry-prompt")]
    | Annotated[Any, Tag("value")],
    Discriminator(_kind_of),
]
"""What an outsider answered to a call: a value, a `ToolReturn`, or a reason to try again."""

DeferredToolResult: TypeAlias = DeferredToolApprovalResult | DeferredToolCallResult
"""Any answer to a deferred call."""

_Approval: TypeAlias = Annotated[
    Annotated[bool, Tag("value")]
    | Annotated[ToolApproved, Tag("tool-approved")]
    | Annotated[ToolDenied, Tag("tool-denied")],
    Discriminator(_kind_of),
]


@dataclass(kw_only=True)
class DeferredToolResults:
    """The answers that a run is resumed with, by tool call id."""

    calls: dict[str, DeferredToolCallResult] = field(default_factory=dict[str, Any])
    """Results of calls that were made outside."""
    approvals: dict[str, _Approval] = field(default_factory=dict[str, "bool | DeferredToolApprovalResult"])
    """Decisions on calls that wait for one."""
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What the tool finds in `ctx.tool_call_metadata` when it runs."""

    def update(self, other: DeferredToolResults) -> None:
        """Add the answers of `other`, which win."""
        self.calls.update(other.calls)
        self.approvals.update(other.approvals)
        self.metadata.update(other.metadata)


@dataclass(kw_only=True)
class DeferredToolRequests:
    """What a run ends with when tool calls must be answered outside it; also an output type that allows this."""

    calls: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    """Calls to be made outside."""
    approvals: list[ToolCallPart] = field(default_factory=list[ToolCallPart])
    """Calls that wait for a person's decision."""
    metadata: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """What the tool said when it deferred, by tool call id."""

    def build_results(
        self,
        *,
        approvals: Mapping[str, bool | DeferredToolApprovalResult] | None = None,
        calls: Mapping[str, Any] | None = None,
        metadata: Mapping[str, dict[str, Any]] | None = None,
        approve_all: bool = False,
    ) -> DeferredToolResults:
        """Answers to these requests. `approve_all` approves what `approvals` does not mention.

        Raises an error, both `UserError` and `ValueError`, for ids that were not asked about.
        """
        decided: dict[str, Any] = {call.tool_call_id: True for call in self.approvals} if approve_all else {}
        decided.update(approvals or {})
        _check_ids("approvals", decided, self.approvals)
        _check_ids("calls", calls or {}, self.calls)
        _check_ids("metadata", metadata or {}, [*self.calls, *self.approvals])
        return DeferredToolResults(calls=dict(calls or {}), approvals=decided, metadata=dict(metadata or {}))

    def remaining(self, results: DeferredToolResults) -> DeferredToolRequests | None:
        """What `results` does not answer, or None if it answers everything."""
        calls = [call for call in self.calls if call.tool_call_id not in results.calls]
        approvals = [call for call in self.approvals if call.tool_call_id not in results.approvals]
        if not calls and not approvals:
            return None
        open_ids = {call.tool_call_id for call in [*calls, *approvals]}
        metadata = {call_id: value for call_id, value in self.metadata.items() if call_id in open_ids}
        return DeferredToolRequests(calls=calls, approvals=approvals, metadata=metadata)


def answers_by_id(results: DeferredToolResults) -> dict[str, Any]:
    """The answer to each call, decisions spelled out."""
    decisions = {call_id: _decision(approval) for call_id, approval in results.approvals.items()}
    return {**decisions, **results.calls}


def _decision(approval: bool | ToolApproved | ToolDenied) -> ToolApproved | ToolDenied:
    if isinstance(approval, bool):
        return ToolApproved() if approval else ToolDenied()
    return approval


class _UnknownCallsError(UserError, ValueError):
    """The answers name calls that nobody asked about."""


def _check_ids(what: str, given: Iterable[str], asked: list[ToolCallPart]) -> None:
    expected = {call.tool_call_id for call in asked}
    unknown = sorted(set(given) - expected)
    if unknown:
        raise _UnknownCallsError(f"{what} names tool calls that are not open: {unknown}; open are {sorted(expected)}")
