"""Cursors of paged lists: opaque to clients, and stable while runs come and go."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from app.db.runs import PagePosition
from app.runs import refusals
from app.runs.text import find_unstorable


def to_cursor(position: PagePosition | None) -> str | None:
    """The text that stands for a page's end; None if nothing follows."""
    if position is None:
        return None
    return _encoded([position.created_at, position.run_id])


def to_approval_cursor(before: int | None) -> str | None:
    """The text that stands for a page's end; None if nothing follows."""
    return None if before is None else _encoded(before)


def from_approval_cursor(cursor: str | None) -> int | None:
    """The id before which a page begins.

    Raises: Invalid for a text that `to_approval_cursor` did not make.
    """
    match _decoded(cursor):
        case None:
            return None
        case int() as before if 0 < before < 2**62:
            return before
        case _:
            raise refusals.malformed_cursor()


def from_cursor(cursor: str | None) -> PagePosition | None:
    """The position a cursor stands for.

    Raises: Invalid for a text that `to_cursor` did not make.
    """
    match _decoded(cursor):
        case None:
            return None
        case [int() as created_at, str() as run_id] if 0 <= created_at < 2**53 and not find_unstorable(run_id):
            return PagePosition(created_at=created_at, run_id=run_id)
        case _:
            raise refusals.malformed_cursor()


def _encoded(position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _decoded(cursor: str | None) -> Any:
    if cursor is None:
        return None
    try:
        # A cursor that says null is none of ours, and must not read as the first page.
        return json.loads(base64.urlsafe_b64decode(cursor.encode())) or False
    except (binascii.Error, ValueError) as error:
        raise refusals.malformed_cursor() from error
