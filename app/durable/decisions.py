"""Decisions: what a wait brought, read by a step drawn after every other call of its batch. [replay-sensitive]"""

from __future__ import annotations

from typing import Any

from app.ai.messages import ToolCallPart
from app.ai.tools import DeferredToolRequests, DeferredToolResults
from app.db import waits
from app.db.outage import through_outage
from app.db.waits import Wait
from app.durable import names
from app.durable.dbos_internals import OwnershipLost
from app.durable.failures import Parked
from app.durable.journal import Envelope, Journal
from app.durable.serializer import to_json


async def decide(
    journal: Journal, requests: DeferredToolRequests, closing_request: Envelope | None
) -> DeferredToolResults:
    """The results of the deferred calls. Parks the run while one of them is missing.

    `closing_request` (JSON) holds the results of the batch's other calls; the step keeps it as part of the history.
    """
    waiting = [_wait(call, "approval", requests) for call in requests.approvals]
    waiting += [_wait(call, _external_kind(call, requests), requests) for call in requests.calls]

    async def look() -> Envelope:
        async def work(_again: bool) -> Any:
            return await waits.decisions_or_park(journal.instruments.engine, journal.run_id, journal.owner, waiting)

        try:
            decisions = await through_outage(work)
        except LookupError:
            raise OwnershipLost(journal.run_id) from None
        if decisions is None:
            raise Parked
        request = {"message": closing_request}
        return {"kind": "decision", "request": request, "outcome": "returned", "result": decisions}

    envelope = await journal.reserve().run_async({"name": names.DECISION_STEP}, look)
    return _results(requests, envelope["result"])


def _results(requests: DeferredToolRequests, decisions: dict[str, Any]) -> DeferredToolResults:
    results = DeferredToolResults()
    for call in requests.calls:
        results.calls[call.tool_call_id] = decisions[call.tool_call_id]["result"]
    for call in requests.approvals:
        results.approvals[call.tool_call_id] = decisions[call.tool_call_id]["approve"]
    return results


def _external_kind(call: ToolCallPart, requests: DeferredToolRequests) -> str:
    return requests.metadata.get(call.tool_call_id, {}).get("waiting_for", "external")


def _wait(call: ToolCallPart, kind: str, requests: DeferredToolRequests) -> Wait:
    metadata = requests.metadata.get(call.tool_call_id)
    return Wait(call.tool_call_id, kind, call.tool_name, to_json(call.args_as_dict()), to_json(metadata))
