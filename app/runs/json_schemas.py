"""Whether a JSON schema that a client gives can be used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator, SchemaError

from app.ai.exceptions import UserError
from app.ai.output import StructuredDict

_MAX_NODES = 10_000


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with the schema; None if nothing is."""
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"{error.json_path}: {error.message}"
    except RecursionError:
        return "it is nested too deeply"
    return None


def output_schema_problem(schema: dict[str, Any]) -> str | None:
    """What keeps the schema from being that of an output; None if nothing does."""
    if problem := schema_problem(schema):
        return problem
    try:
        # Models get it with its references replaced, which a short schema can make very long.
        if _nodes(schema, schema.get("$defs", {}), {}) > _MAX_NODES:
            return f"it has more than {_MAX_NODES} parts when its references are replaced"
        StructuredDict(schema)
    except UserError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    return None


def _nodes(part: Any, definitions: Mapping[str, Any], known: dict[str, int]) -> int:
    if isinstance(part, list):
        return 1 + sum(_nodes(item, definitions, known) for item in cast("list[Any]", part))
    if not isinstance(part, dict):
        return 1
    fields = cast("dict[str, Any]", part)
    reference = fields.get("$ref")
    count = 1 + sum(_nodes(value, definitions, known) for key, value in fields.items() if key != "$defs")
    return count + (_referred(reference, definitions, known) if isinstance(reference, str) else 0)


def _referred(reference: str, definitions: Mapping[str, Any], known: dict[str, int]) -> int:
    name = reference.removeprefix("#/$defs/")
    if name not in known:
        known[name] = 0  # what refers to itself is refused elsewhere
        known[name] = _nodes(definitions.get(name), definitions, known)
    return known[name]
