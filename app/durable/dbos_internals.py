"""What we rely on in DBOS 3.4 below its public API, in one place. tests/contracts proves each line of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dbos import error
from dbos._context import get_local_dbos_context
from dbos._dbos import _get_dbos_instance  # pyright: ignore[reportPrivateUsage]
from dbos._registrations import get_func_info
from dbos._serialization import DefaultSerializer

OwnershipLost = error.DBOSWorkflowConflictIDError
"""Raised, with the run's id, when this execution is no longer the run's; DBOS then waits for the other's outcome."""

ControlError = error.DBOSBaseException
"""Base of what DBOS raises to stop an execution: lost ownership, cancelled. Never to be swallowed or recorded."""


def current_owner() -> str:
    """The fencing token (`workflow_status.owner_xid`) of the running execution."""
    context = get_local_dbos_context()
    if context is None or context.owner_xid is None:
        raise RuntimeError("Only a dispatched workflow has an owner token; call this from inside `holdfast.run`.")
    return context.owner_xid


def next_step() -> int:
    """The number that the next step of the running workflow will draw."""
    context = get_local_dbos_context()
    if context is None:
        raise RuntimeError("Only a workflow draws steps; call this from inside `holdfast.run`.")
    return context.function_id + 1


def active_runs() -> set[str]:
    """Ids of the workflows that this process executes at this moment."""
    return set(_get_dbos_instance()._active_workflows_set.activeList())  # pyright: ignore[reportPrivateUsage]


def is_claiming(queue: str) -> bool:
    """Whether this process polls the queue; DBOS starts the thread up to a second after the queue is registered."""
    return any(thread.name == f"queue-worker-{queue}" for thread in threading.enumerate())


def is_registered(function: Callable[..., Any]) -> bool:
    """Whether a function is a step or workflow: to call it draws a step's number."""
    return get_func_info(function) is not None


def keeps_objects() -> bool:
    """Whether the program left it to DBOS how values are stored, so that objects may come back as they were."""
    return isinstance(_get_dbos_instance()._serializer, DefaultSerializer)  # pyright: ignore[reportPrivateUsage]


def can_keep(value: Any) -> bool:
    """Whether DBOS, as the program set it up, gives this object back as it was."""
    if not keeps_objects():
        return False
    try:
        DefaultSerializer().serialize(value)
    except Exception:  # whatever the object's class raises
        return False
    return True
