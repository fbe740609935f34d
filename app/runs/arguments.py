"""Checking arguments that a person gives for a tool call against the tool's JSON schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from app.runs import refusals


def check_arguments(args: Mapping[str, Any], schema: Mapping[str, Any] | None, tool: str) -> None:
    """Raises `Invalid`, which names the argument, if the schema forbids `args`.

    A schema that is broken itself forbids nothing: the tool checks its arguments in any case.
    """
    if schema is None:
        return
    # With a registry of its own the validator looks up nothing outside the schema, and never in the network.
    validator: Any = Draft202012Validator(schema, registry=Registry[Any]())
    try:
        errors: Iterator[ValidationError] = validator.iter_errors(args)
        error = next(errors, None)
    except (SchemaError, Unresolvable):
        return
    if error is not None:
        raise refusals.invalid_arguments(tool, _path(error), str(error.message))


def _path(error: ValidationError) -> str:
    path = "args" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    if error.validator == "required":
        required = cast("list[str]", error.validator_value)
        present = cast("dict[str, Any]", error.instance)
        path += "." + next(name for name in required if name not in present)
    return path
