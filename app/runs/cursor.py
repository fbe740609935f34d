"""Cursors of paged lists: opaque to clients, and stable while runs come and go.

Each text that fits the pattern is a cursor, so that the OpenAPI document tells the whole truth about them.
"""

from __future__ import annotations

import re
from typing import Final

from app.db.runs import PagePosition
from app.runs import refusals

RUN_CURSOR: Final = r"^[0-9]{1,15}\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
APPROVAL_CURSOR: Final = r"^[1-9][0-9]{0,17}$"


def to_cursor(position: PagePosition | None) -> str | None:
    """The text that stands for a page's end; None if nothing follows."""
    return None if position is None else f"{position.created_at}.{position.run_id}"


def from_cursor(cursor: str | None) -> PagePosition | None:
    """The position a cursor stands for.

    Raises: Invalid for a text that `to_cursor` did not make.
    """
    if cursor is None:
        return None
    created_at, _, run_id = _checked(cursor, RUN_CURSOR).partition(".")
    return PagePosition(created_at=int(created_at), run_id=run_id)


def to_approval_cursor(before: int | None) -> str | None:
    """The text that stands for a page's end; None if nothing follows."""
    return None if before is None else str(before)


def from_approval_cursor(cursor: str | None) -> int | None:
    """The id before which a page begins.

    Raises: Invalid for a text that `to_approval_cursor` did not make.
    """
    return None if cursor is None else int(_checked(cursor, APPROVAL_CURSOR))


def _checked(cursor: str, pattern: str) -> str:
    # `fullmatch`, because `$` would let a newline through.
    if not re.fullmatch(pattern, cursor):
        raise refusals.malformed_cursor()
    return cursor
