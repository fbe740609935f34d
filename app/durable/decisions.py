"""Decisions: what a wait brought, read by a step drawn after every other call of its batch. [replay-sensitive]

kind             asked for                          decision
approval         a call that needs a person         {approve: true, args?} | {approve: false, message?}
external         a call that is made elsewhere      {result} | {error}
outcome_unknown  a call that was lost in a crash    {result} | {error} | {run_again: true}
input            answers to what a call asks        {answers: {name: {action, content?}}}

What a call asks a model is answered here too, by steps of their own, before anybody is waited for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.ai.exceptions import UserError
from app.ai.mcp.questions import continued, goes_on, questions_in, sampling_in
from app.ai.mcp.sampling import sampling_result
from app.ai.messages import ToolCallPart, ToolReturnPart
from app.ai.tools import DeferredToolRequests, DeferredToolResults, ToolApproved, ToolDenied
from app.ai.usage import RunUsage
from app.db import waits
from app.db.outage import through_outage
from app.db.waits import Wait
from app.durable import names
from app.durable.dbos_internals import OwnershipLost
from app.durable.failures import Parked, RunError
from app.durable.journal import Envelope, failed, failure_of
from app.durable.serializer import to_json
from app.durable.steps import DurableSteps

TIMEOUT: Final = "wait_timeout"
"""In a tool's metadata: seconds after which a wait for its call is decided by itself."""
ON_TIMEOUT: Final = "on_wait_timeout"
"""In a tool's metadata: `approve` makes the call when nobody decided in time; otherwise it is denied."""

_NOBODY_DECIDED: Final = "Nobody decided on this call in time, so it was not made."
_NO_RESULT: Final = "No result of this call came in time."


async def decide(
    steps: DurableSteps, requests: DeferredToolRequests, closing_request: Envelope | None, usage: RunUsage
) -> DeferredToolResults:
    """The results of the deferred calls. Parks the run while one of them is missing.

    `closing_request` (JSON) holds the results of the batch's other calls; the step keeps it as part of the history.
    What models are asked meanwhile is added to `usage`.
    """
    journal = steps.journal
    sampled = await _sample(steps, requests, usage)
    waiting = [_wait(call, "approval", requests, steps) for call in requests.approvals]
    for call in requests.calls:
        if call.tool_call_id not in sampled or questions_in(requests.metadata[call.tool_call_id]):
            waiting.append(_wait(call, _kind_of_call(call, requests), requests, steps))
    reservation = journal.reserve()

    async def look() -> Envelope:
        async def work(_again: bool) -> Any:
            engine, step = journal.instruments.engine, reservation.step_id
            return await waits.decisions_or_park(engine, journal.run_id, journal.owner, step, waiting)

        try:
            decisions = await through_outage(work)
        except LookupError:
            raise OwnershipLost(journal.run_id) from None
        except waits.CallChanged as changed:
            return {"kind": "decision", "request": {"message": closing_request}, **failed(RunError.of(changed))}
        if decisions is None:
            raise Parked
        request = {"message": closing_request}
        return {"kind": "decision", "request": request, "outcome": "returned", "result": decisions}

    envelope = await reservation.run_async({"name": names.DECISION_STEP}, look)
    if (failure := failure_of(envelope)) is not None:
        raise failure
    return _results(requests, envelope["result"], sampled, steps)


async def _sample(steps: DurableSteps, requests: DeferredToolRequests, usage: RunUsage) -> dict[str, dict[str, Any]]:
    """What models answered, as JSON of the protocol, by tool call id and by the name of the request."""
    answers: dict[str, dict[str, Any]] = {}
    for call in requests.calls:
        for name, asked in sampling_in(requests.metadata.get(call.tool_call_id)).items():
            response = await steps.sample(call, asked)
            usage.incr(response.usage)
            answer = sampling_result(response).model_dump(mode="json", by_alias=True, exclude_none=True)
            answers.setdefault(call.tool_call_id, {})[name] = answer
    return answers


def _results(
    requests: DeferredToolRequests,
    decisions: Mapping[str, Any],
    sampled: Mapping[str, Mapping[str, Any]],
    steps: DurableSteps,
) -> DeferredToolResults:
    results = DeferredToolResults()
    for call in requests.calls:
        decision = decisions.get(call.tool_call_id, {})
        if decision.get("run_again") or "answers" in decision or call.tool_call_id in sampled:
            metadata = requests.metadata[call.tool_call_id]
            key = metadata["idempotency_key"]
            steps.repetitions[call.tool_call_id] = key if goes_on(metadata) else key_of_repetition(key)
            given = continued(metadata, decision.get("answers", {}), sampled.get(call.tool_call_id))
            results.metadata[call.tool_call_id] = given
            results.approvals[call.tool_call_id] = _approved_as_made(call)
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


def _approved_as_made(call: ToolCallPart) -> ToolApproved:
    """The same call again; arguments that a person gave it in place of the model's are an object."""
    return ToolApproved(override_args=call.args if isinstance(call.args, dict) else None)


def _approval(decision: Mapping[str, Any]) -> ToolApproved | ToolDenied:
    if decision["approve"]:
        return ToolApproved(override_args=decision.get("args"))
    message = decision.get("message")
    return ToolDenied(message) if message else ToolDenied()


def _kind_of_call(call: ToolCallPart, requests: DeferredToolRequests) -> str:
    wanted = requests.metadata.get(call.tool_call_id, {}).get("waiting_for")
    # The metadata of a user's own tool may say anything.
    return wanted if wanted in names.WAIT_KINDS else "external"


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
        default_decision=_default_decision(kind, options, requests.metadata.get(call.tool_call_id)),
    )


def _timeout(tool: str, options: Mapping[str, Any]) -> float | None:
    seconds = options.get(TIMEOUT)
    if seconds is None or (isinstance(seconds, int | float) and seconds > 0):
        return seconds
    raise UserError(f"Tool {tool!r} has the {TIMEOUT} {seconds!r} in its metadata; it must be seconds, above 0")


def _default_decision(kind: str, options: Mapping[str, Any], metadata: Any) -> Mapping[str, Any] | None:
    match kind:
        case "approval" if options.get(ON_TIMEOUT) == "approve":
            return {"approve": True}
        case "approval":
            return {"approve": False, "message": _NOBODY_DECIDED}
        case "input":
            return {"answers": {name: {"action": "cancel"} for name in questions_in(metadata)}}
        case "external":
            return {"error": _NO_RESULT}
        case _:
            return None
