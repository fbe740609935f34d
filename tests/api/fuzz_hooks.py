"""What Schemathesis has to know of the service: which refusals depend on what is stored, so that no schema tells."""

from __future__ import annotations

from typing import Any

import schemathesis
from schemathesis.openapi.checks import RejectedPositiveData

DEPENDS_ON_WHAT_IS_STORED = (
    "no_such_place",
    "edit_too_late",
    "idempotency_key_reused",
    "invalid_arguments",
    "invalid_answer",
    # What an agent spec may say is for its own schema: names of models, templates, capabilities.
    "invalid_spec",
    "capability_not_allowed",
    # So are JSON schemas, and what agents take as deps.
    "invalid_deps",
    "invalid_output_schema",
)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Name an agent and a step that there are in place of made-up ones."""
    if not isinstance(case.body, dict):
        return
    agent, step = case.body.get("agent"), case.body.get("from_step")
    if case.operation.label == "POST /api/runs" and isinstance(agent, str) and agent:
        case.body["agent"] = "careful" if len(agent) % 2 else "quick"
    if case.operation.label.endswith("/fork") and isinstance(step, int) and step > 1:
        case.body["from_step"] = 1 + step % 2


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Whether the failure counts."""
    rejected = isinstance(failure, RejectedPositiveData)
    return not (rejected and response.json()["type"] in DEPENDS_ON_WHAT_IS_STORED)
