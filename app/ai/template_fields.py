"""What a template may name: the fields of the dependencies, as far as types or a JSON schema tell them."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import NoneType
from typing import Annotated, Any, Final, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_typeddict

_WITHOUT_FIELDS: Final = (str, bytes, int, float, bool, NoneType)
_OF_ITEMS: Final = (Sequence, AbstractSet, Collection, Iterable)


class UnknownField(Exception):
    """The dependencies have no such field; says which ones there are."""

    def __init__(self, known: Iterable[str]):
        self.known = ", ".join(sorted(known)) or "none"
        super().__init__(self.known)


@dataclass(frozen=True)
class Anything:
    """A value of which nothing is known, so that it may have any field."""

    def field(self, name: str) -> Fields:
        """The value under a name. Raises `UnknownField`."""
        return self

    def item(self) -> Fields:
        """The values that a loop goes through."""
        return self


@dataclass(frozen=True)
class Several:
    """A value that is of one of several kinds: it has the fields of all."""

    kinds: tuple[Fields, ...]

    def field(self, name: str) -> Fields:
        found: list[Fields] = []
        known: set[str] = set()
        for kind in self.kinds:
            try:
                found.append(kind.field(name))
            except UnknownField as err:
                known.update(err.known.split(", "))
        if not found:
            raise UnknownField(known - {"none"})
        return _one_of(found)

    def item(self) -> Fields:
        return _one_of([kind.item() for kind in self.kinds])


@dataclass(frozen=True)
class OfType:
    """A value of a Python type."""

    type: Any

    def field(self, name: str) -> Fields:
        known = self._fields()
        if known is None:
            return Anything()
        if name not in known:
            raise UnknownField(known)
        return fields_of_type(known[name])

    def item(self) -> Fields:
        origin, args = get_origin(self.type), get_args(self.type)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return fields_of_type(args[1]) if len(args) > 1 else Anything()
        if isinstance(origin, type) and issubclass(origin, _OF_ITEMS):
            return _one_of([fields_of_type(arg) for arg in args if arg is not ...])
        return Anything()

    def _fields(self) -> dict[str, Any] | None:
        """The names with their types; None if any name may be meant."""
        if not isinstance(self.type, type) or get_origin(self.type) is not None:
            return None
        of = cast("type[Any]", self.type)
        if issubclass(of, _WITHOUT_FIELDS):
            return {}
        if issubclass(of, BaseModel):
            computed = {name: field.return_type for name, field in of.model_computed_fields.items()}
            return {**computed, **{name: field.annotation for name, field in of.model_fields.items()}}
        if dataclasses.is_dataclass(of) or is_typeddict(of):
            try:
                hints = get_type_hints(of)
            except NameError:  # a type that is only imported for type checkers
                hints = dict.fromkeys(of.__annotations__, Any)
            return {**{name: Any for name in dir(of) if not name.startswith("_")}, **hints}
        return None


@dataclass(frozen=True)
class OfSchema:
    """A value that a JSON schema describes; `root` is the schema with the definitions."""

    schema: Mapping[str, Any]
    root: Mapping[str, Any]

    def field(self, name: str) -> Fields:
        properties, more = self.schema.get("properties"), self.schema.get("additionalProperties")
        if properties is not None and name in properties:
            return fields_of_schema(properties[name], self.root)
        if isinstance(more, Mapping):
            return fields_of_schema(cast("Mapping[str, Any]", more), self.root)
        is_open = more is True or (properties is None and self.schema.get("type", "object") in ("object", "array"))
        if is_open:
            return Anything()
        raise UnknownField(properties or ())

    def item(self) -> Fields:
        kinds = [self.schema[key] for key in ("items", "additionalProperties") if key in self.schema]
        kinds += [*self.schema.get("prefixItems", ()), *self.schema.get("properties", {}).values()]
        return _one_of([fields_of_schema(kind, self.root) for kind in kinds if isinstance(kind, Mapping)])


Fields: TypeAlias = Anything | Several | OfType | OfSchema
"""What is known of a value in a template."""


def fields_of_type(type_: Any) -> Fields:
    """What is known of a value of this type."""
    origin = get_origin(type_)
    if origin is Annotated:
        return fields_of_type(get_args(type_)[0])
    if origin in (Union, types.UnionType):
        return _one_of([fields_of_type(arg) for arg in get_args(type_) if arg is not NoneType])
    is_generic = isinstance(origin, type) and not issubclass(origin, _OF_ITEMS)
    return OfType(origin if is_generic else type_)


def fields_of_schema(schema: Any, root: Mapping[str, Any]) -> Fields:
    """What is known of a value that the schema describes."""
    if not isinstance(schema, Mapping):
        return Anything()
    schema = cast("Mapping[str, Any]", schema)
    if (ref := schema.get("$ref")) is not None:
        target: Any = root
        for key in ref.removeprefix("#/").split("/"):
            target = target.get(key, {})
        return fields_of_schema(target, root)
    kinds = [kind for key in ("anyOf", "oneOf", "allOf") for kind in schema.get(key, ()) if kind.get("type") != "null"]
    if kinds:
        own = [schema] if "properties" in schema else []
        return _one_of([OfSchema(schema, root) for _ in own] + [fields_of_schema(kind, root) for kind in kinds])
    return OfSchema(schema, root)


def _one_of(kinds: Sequence[Fields]) -> Fields:
    if not kinds or any(isinstance(kind, Anything) for kind in kinds):
        return Anything()
    return kinds[0] if len(kinds) == 1 else Several(tuple(kinds))
