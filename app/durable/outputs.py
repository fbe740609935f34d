"""Output types that keep to a JSON schema which came over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, cast

import jsonschema
from jsonschema import Draft202012Validator, ValidationError
from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import (
    CoreSchema,
    InitErrorDetails,
    PydanticCustomError,
    SchemaError,
    SchemaValidator,
    core_schema,
)
from pydantic_core import ValidationError as InvalidOutput

from app.ai.output import StructuredDict

_untyped: Any = jsonschema
_IDENTITY = ("$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef")
_MAX_PROBLEMS = 20
_MAX_CHARACTERS = 300


def checked_dict(schema: dict[str, Any]) -> type[dict[str, Any]]:
    """A `StructuredDict` that also checks what the model sends, so that the model tries again if it does not fit."""
    structured = StructuredDict(schema)
    validator: Any = _Validator(_plain(TypeAdapter(structured).json_schema()))

    def check(value: dict[str, Any]) -> dict[str, Any]:
        if problems := [_details(error) for error in islice(validator.iter_errors(value), _MAX_PROBLEMS)]:
            raise InvalidOutput.from_exception_data(structured.__name__, problems)
        return value

    class CheckedDict(structured):
        @classmethod
        def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
            return core_schema.no_info_after_validator_function(check, handler.generate_schema(structured))

    CheckedDict.__name__ = CheckedDict.__qualname__ = structured.__name__
    return CheckedDict


def _plain(schema: Any) -> Any:
    """The schema without what would fetch something from elsewhere, or put the library's own validator into a part."""
    if isinstance(schema, list):
        return [_plain(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    parts = cast("dict[str, Any]", schema).items()
    return {key: _plain(value) for key, value in parts if not (key in _IDENTITY and isinstance(value, str))}


def _details(error: ValidationError) -> InitErrorDetails:
    # Of several alternatives, what is wrong with the one that was meant.
    cause = _untyped.exceptions.best_match([error])
    problem = PydanticCustomError("json_schema", _shortened(cause.message))
    return InitErrorDetails(type=problem, loc=tuple(cause.absolute_path), input=cause.instance)


def _shortened(message: str) -> Any:
    """The message without much of the value, which comes first in it; what is wrong stands at the end."""
    return message if len(message) <= _MAX_CHARACTERS else f"… {message[-_MAX_CHARACTERS:]}"


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and (matcher := _matcher(pattern)) and not matcher.isinstance_python(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> SchemaValidator | None:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return None


def _additional(validator: Any, additional: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if "patternProperties" not in schema:
        check = _untyped.Draft202012Validator.VALIDATORS["additionalProperties"]
        yield from check(validator, additional, instance, schema) or ()


def _unchecked(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    yield from ()


_Validator = _untyped.validators.extend(
    Draft202012Validator,
    {
        # Whoever starts a run gives the pattern and has a say in the text: with Python's engine, which backtracks,
        # that could stop the worker. Patterns of names are not checked at all, nor what depends on them.
        "pattern": _pattern,
        "patternProperties": _unchecked,
        "additionalProperties": _additional,
        "unevaluatedProperties": _unchecked,
    },
)
