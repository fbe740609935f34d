"""A dataclass repr that shows only what differs from the defaults."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any


def repr_without_defaults(self: Any) -> str:
    """The repr of a dataclass instance, leaving out fields that hold their default."""
    shown = (
        f"{field.name}={getattr(self, field.name)!r}"
        for field in fields(self)
        if field.repr and not _is_default(field, getattr(self, field.name))
    )
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _is_default(field: Field[Any], value: Any) -> bool:
    if field.default is not MISSING:
        return bool(value == field.default)
    if field.default_factory is not MISSING:
        return bool(value == field.default_factory())
    return False
