"""Cursors of paged lists: opaque to clients, and stable while runs come and go."""

from __future__ import annotations

import base64
import binascii
import json

from app.db.runs import PagePosition
from app.runs import refusals
from app.runs.text import find_unstorable


def to_cursor(position: PagePosition | None) -> str | None:
    """The text that stands for a page's end; None if nothing follows."""
    if position is None:
        return None
    return base64.urlsafe_b64encode(json.dumps([position.created_at, position.run_id]).encode()).decode()


def from_cursor(cursor: str | None) -> PagePosition | None:
    """The position a cursor stands for.

    Raises: Invalid for a text that `to_cursor` did not make.
    """
    if cursor is None:
        return None
    try:
        match json.loads(base64.urlsafe_b64decode(cursor.encode())):
            case [int() as created_at, str() as run_id] if 0 <= created_at < 2**53 and not find_unstorable(run_id):
                return PagePosition(created_at=created_at, run_id=run_id)
            case _:
                raise refusals.malformed_cursor()
    except (binascii.Error, ValueError) as error:
        raise refusals.malformed_cursor() from error
