"""JSON schemas as models like them: no titles made up from field names, an object at the top."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, cast

from pydantic import BaseModel, RootModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaWarningKind
from typing_extensions import TypeIs, is_typeddict

from app.ai.exceptions import UserError

__all__ = "GenerateToolJsonSchema", "free_name", "inline_top_reference", "is_model_like", "with_shared_definitions"


class GenerateToolJsonSchema(GenerateJsonSchema):
    """Makes the schemas that are shown to models."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title that only repeats the field's name costs tokens and says nothing."""
        return False

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        # A default that is no JSON is left out of the schema; that is all we want of it.
        if kind != "non-serializable-default":
            super().emit_warning(kind, detail)


def is_model_like(type_: Any) -> TypeIs[type[Any]]:
    """Whether `type_` is a class with named fields, so that its JSON schema is an object of its own."""
    if not isinstance(type_, type):
        return False
    class_: type[Any] = type_
    if issubclass(class_, BaseModel):
        return not issubclass(class_, RootModel)
    return is_dataclass(class_) or is_typeddict(class_) or bool(getattr(class_, "__is_model_like__", False))


def inline_top_reference(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with a `$ref` at the top replaced by what it refers to, as for a recursive model."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    definitions = schema["$defs"]
    name = reference.removeprefix("#/$defs/")
    if name not in definitions:
        raise UserError(f"JSON schema refers to {reference!r}, which is not among its own definitions")
    rest = {key: value for key, value in schema.items() if key not in ("$ref", "$defs")}
    return {**definitions[name], **rest, "$defs": definitions}


def free_name(name: str, taken: Container[str]) -> str:
    """The name, with a number added if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def with_shared_definitions(schemas: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schemas without their `$defs`, and these in one: where two differ under one name, the later gets a number."""
    bare: list[dict[str, Any]] = []
    shared: dict[str, Any] = {}
    for schema in schemas:
        own: dict[str, Any] = schema.get("$defs", {})
        names = {
            name: name if shared.get(name, definition) == definition else free_name(name, shared)
            for name, definition in own.items()
        }
        shared |= {names[name]: _with_renamed_references(definition, names) for name, definition in own.items()}
        without = {key: value for key, value in schema.items() if key != "$defs"}
        bare.append(_with_renamed_references(without, names))
    return bare, shared


def _with_renamed_references(schema: Any, names: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_with_renamed_references(item, names) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    fields = cast("dict[str, Any]", schema)
    renamed = {key: _with_renamed_references(value, names) for key, value in fields.items()}
    if isinstance(reference := fields.get("$ref"), str):
        name = reference.removeprefix("#/$defs/")
        renamed["$ref"] = f"#/$defs/{names.get(name, name)}"
    return renamed
