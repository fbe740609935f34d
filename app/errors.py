"""What the service refuses, each with the HTTP status that says so.

    HoldfastError            500 internal_error
    ├── Malformed            400 malformed_request
    ├── Unauthorized         401 unauthorized
    ├── Forbidden            403 forbidden
    ├── NotFound             404 not_found
    ├── Conflict             409 conflict
    │   └── BusyConversation 409 conversation_busy
    ├── Invalid              422 invalid_request
    └── Unavailable          503 unavailable

The errors of the agent core are in app/ai/exceptions.py.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any


class HoldfastError(Exception):
    """The service failed."""

    status_code = 500
    default_type = "internal_error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        type: str | None = None,
        field: str | None = None,
        fix: str | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """`type` is the stable word that programs test, `field` where the request is wrong, `fix` what to do.

        `members` is JSON that belongs to this type of error only.
        """
        self.detail = detail or self.title
        self.type = type or self.default_type
        self.field = field
        self.fix = fix
        self.members = dict(members or {})
        super().__init__(self.detail)

    @property
    def title(self) -> str:
        """The sentence for this kind of error: the docstring of its class."""
        return inspect.getdoc(type(self)) or ""


class Malformed(HoldfastError):
    """The request cannot be read."""

    status_code = 400
    default_type = "malformed_request"


class Unauthorized(HoldfastError):
    """The request needs a valid API key."""

    status_code = 401
    default_type = "unauthorized"


class Forbidden(HoldfastError):
    """The request is not allowed."""

    status_code = 403
    default_type = "forbidden"


class NotFound(HoldfastError):
    """There is no such thing."""

    status_code = 404
    default_type = "not_found"


class Conflict(HoldfastError):
    """The request does not fit the present state."""

    status_code = 409
    default_type = "conflict"


class BusyConversation(Conflict):
    """The conversation has a run that is not finished."""

    default_type = "conversation_busy"

    def __init__(self, run_id: str | None = None) -> None:
        """`run_id` is the unfinished run, None when whoever noticed the collision could not see which one it is."""
        self.run_id = run_id
        super().__init__(
            f"Run {run_id} of this conversation is not finished." if run_id else None,
            field="conversation_id",
            fix="Wait for that run, cancel it, or start another conversation.",
        )


class Invalid(HoldfastError):
    """The request is well-formed but its content is not acceptable."""

    status_code = 422
    default_type = "invalid_request"


class Unavailable(HoldfastError):
    """The service cannot answer right now; try again."""

    status_code = 503
    default_type = "unavailable"
