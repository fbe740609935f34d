"""Decisions: what a wait brought, read by a step drawn after every other call of its batch. [replay-sensitive]

kind             asked for                          decision
approval         a call that needs a person         {approve: true, args?} | {approve: false, message?}
external         a call that is made elsewhere      {result} | {error}
outcome_unknown  a call that was lost in a crash    {result} | {error} | {run_again: true}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.ai.exceptions import UserError
from app.ai.messages import ToolCallPart, ToolReturnPart
from app.ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from app.db import waits
from app.db.outage import through_outage
from app.db.waits import Wait
from app.durable import names
from app.durable.dbos_internals import OwnershipLost
from app.durable.failures import Parked
from app.durable.journal import Envelope
from app.durable.serializer import to_json
from app.durable.steps import DurableSteps

TIMEOUT: Final = "wait_timeout"
"""In a tool's metadata: seconds after which a wait for its call is decided by itself."""
ON_TIMEOUT: Final = "on_wait_timeout"
"""In a tool's metadata: `approve` makes the call when nobody decided in time; otherwise it is denied."""

_NOBODY_DECIDED: Final = "Nobody decided on this call in time, so it was not made."
_NO_RESULT: Final = "No result of this call came in time."


async def decide(
    steps: DurableSteps, requests: DeferredToolRequests, closing_request: Envelope | None
) -> DeferredToolResults:
    """The results of the deferred calls. Parks the run while one of them is missing.

    `closing_request` (JSON) holds the results of the batch's other calls; the step keeps it as part of the history.
    """
    journal = steps.journal
    waiting = [_wait(call, "approval", requests, steps) for call in requests.approvals]
    waiting += [_wait(call, _kind_of_call(call, requests), requests, steps) for call in requests.calls]
    reservation = journal.reserve()

    async def look() -> Envelope:
        async def work(_again: bool) -> Any:
            engine, step = journal.instruments.engine, reservation.step_id
            return await waits.decisions_or_park(engine, journal.run_id, journal.owner, step, waiting)

        try:
            decisions = await through_outage(work)
        except LookupError:
            raise OwnershipLost(journal.run_id) from None
        if decisions is None:
            raise Parked
        request = {"message": closing_request}
        return {"kind": "decision", "request": request, "outcome": "returned", "result": decisions}

    envelope = await reservation.run_async({"name": names.DECISION_STEP}, look)
    return _results(requests, envelope["result"], steps)


def _results(requests: DeferredToolRequests, decisions: Mapping[str, Any], steps: DurableSteps) -> DeferredToolResults:
    results = DeferredToolResults()
    for call in requests.calls:
        decision = decisions[call.tool_call_id]
        if decision.get("run_again"):
            lost_key = requests.metadata[call.tool_call_id]["idempotency_key"]
            steps.repetitions[call.tool_call_id] = key_of_repetition(lost_key)
            results.approvals[call.tool_call_id] = ToolApproved()
        elif "error" in decision:
            results.calls[call.tool_call_id] = ToolReturnPart(call.tool_name, decision["error"], outcome="failed")
        else:
            results.calls[call.tool_call_id] = decision["result"]
    for call in requests.approvals:
        results.approvals[call.tool_call_id] = _approval(decisions[call.tool_call_id])
    return results


def key_of_repetition(key: str) -> str:
    """The idempotency key of a call that a person lets run again: `<run>:<step>` becomes `<run>:<step>:2`, then 3."""
    run_id, step, *repetition = key.split(":")
    return f"{run_id}:{step}:{int(repetition[0]) + 1 if repetition else 2}"


def _approval(decision: Mapping[str, Any]) -> ToolApproved | ToolDenied:
    if decision["approve"]:
        return ToolApproved(override_args=decision.get("args"))
    message = decision.get("message")
    return ToolDenied(message) if message else ToolDenied()


def _kind_of_call(call: ToolCallPart, requests: DeferredToolRequests) -> str:
    return requests.metadata.get(call.tool_call_id, {}).get("waiting_for", "external")


def _wait(call: ToolCallPart, kind: str, requests: DeferredToolRequests, steps: DurableSteps) -> Wait:
    tool = steps.tools.get(call.tool_name)
    options = (tool.metadata if tool else None) or {}
    return Wait(
        tool_call_id=call.tool_call_id,
        kind=kind,
        tool=call.tool_name,
        args=to_json(call.args_as_dict()),
        metadata=to_json(requests.metadata.get(call.tool_call_id)),
        parameters=tool.parameters_json_schema if tool else None,
        # What became of a lost call is for a person to find out, however long it takes.
        timeout_seconds=None if kind == "outcome_unknown" else _timeout(call.tool_name, options),
        default_decision=_default_decision(kind, options),
    )


def _timeout(tool: str, options: Mapping[str, Any]) -> float | None:
    seconds = options.get(TIMEOUT)
    if seconds is None or (isinstance(seconds, int | float) and seconds > 0):
        return seconds
    raise UserError(f"Tool {tool!r} has the {TIMEOUT} {seconds!r} in its metadata; it must be seconds, above 0")


def _default_decision(kind: str, options: Mapping[str, Any]) -> Mapping[str, Any] | None:
    match kind:
        case "approval" if options.get(ON_TIMEOUT) == "approve":
            return {"approve": True}
        case "approval":
            return {"approve": False, "message": _NOBODY_DECIDED}
        case "external":
            return {"error": _NO_RESULT}
        case _:
            return None
