"""Telling what is wrong with an option, at the place where it was given."""

from __future__ import annotations

from app.ai.exceptions import UserError

DICT_OR_FUNCTION = "a dict or a function that gives one"


def expect(option: str, given: object, wanted: str, *kinds: type, function: bool = False, none: bool = False) -> None:
    """Raise `UserError` unless what was given is of these kinds, a function if that is wanted, or None if that is."""
    if isinstance(given, kinds) or (function and callable(given)) or (none and given is None):
        return
    raise UserError(f"`{option}` takes {wanted}, not {given!r}")
