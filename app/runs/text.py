"""Finding what Postgres and JSON cannot hold in a request, before anything is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

MAX_DEPTH = 100

Json: TypeAlias = "str | float | bool | dict[str, Json] | list[Json] | None"


@dataclass(frozen=True)
class Unstorable:
    """A value that cannot be stored: where it is, what is wrong, and what to send instead."""

    field: str
    detail: str
    fix: str


def find_unstorable(value: Json) -> Unstorable | None:
    """The first value of parsed JSON that cannot be stored as `jsonb`, if there is one."""
    pending: list[tuple[str, Json, int]] = [("", value, 0)]
    while pending:
        path, found, depth = pending.pop()
        if problem := _unstorable_here(path, found, depth):
            return problem
        if isinstance(found, dict):
            pending += [(f"{path}.{key}" if path else key, item, depth + 1) for key, item in reversed(found.items())]
        elif isinstance(found, list):
            pending += [(f"{path}[{at}]", item, depth + 1) for at, item in reversed([*enumerate(found)])]
    return None


def _unstorable_here(path: str, value: Json, depth: int) -> Unstorable | None:
    if depth > MAX_DEPTH:
        return Unstorable(path, f"The value is nested deeper than {MAX_DEPTH} levels.", "Send a flatter structure.")
    match value:
        case str():
            return _unstorable_text(path, value)
        case float() if not math.isfinite(value):
            return Unstorable(path, f"JSON has no number {value}.", "Send a finite number, or null.")
        case dict():
            return next(filter(None, (_unstorable_text(path, key) for key in value)), None)
        case _:
            return None


def _unstorable_text(path: str, text: str) -> Unstorable | None:
    if "\0" in text:
        return Unstorable(path, "The text holds a NUL character, which Postgres cannot store.", "Remove U+0000.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return Unstorable(
            path,
            f"The text holds a lone surrogate at character {error.start}, which is no valid Unicode.",
            "Send the whole surrogate pair, or U+FFFD in its place.",
        )
    return None
