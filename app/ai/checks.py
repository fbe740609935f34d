"""Telling what is wrong with an option, at the place where it was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, TypeVar, cast

from app.ai.exceptions import UserError

DICT_OR_FUNCTION = "a dict or a function that gives one"

TYPE_KINDS: tuple[Any, ...] = (type, UnionType, TypeVar)
"""What types are, besides generic aliases, which can be called."""

GivenT = TypeVar("GivenT")


def expect(option: str, given: GivenT, wanted: str, *kinds: type, function: bool = False, none: bool = False) -> GivenT:
    """What was given. Raises `UserError` unless it is of these kinds, or a function or None where that is wanted."""
    if isinstance(given, kinds) or (function and callable(given)) or (none and given is None):
        return given
    raise UserError(f"`{option}` takes {wanted}, not {given!r}")


def each(option: str, given: object, wanted: str) -> list[Any]:
    """The items of an option that takes several. Raises `UserError` for what has no items, and for text."""
    if given is None:
        return []
    if not isinstance(given, Iterable) or isinstance(given, str | bytes | Mapping):
        raise UserError(f"`{option}` takes a list of {wanted}, not {given!r}")
    return list(cast("Iterable[Any]", given))


def one_of(option: str, given: GivenT, choices: tuple[Any, ...]) -> GivenT:
    """What was given. Raises `UserError` unless it is one of the choices."""
    if given not in choices:
        raise UserError(f"`{option}` is one of {', '.join(map(repr, choices))}, not {given!r}")
    return given


def seconds(option: str, given: float | None) -> float | None:
    """A time limit. Raises `UserError` unless it is above 0."""
    limit = expect(option, given, "seconds", int, float, none=True)
    if limit is not None and limit <= 0:
        raise UserError(f"`{option}` takes seconds above 0, not {limit!r}")
    return limit
