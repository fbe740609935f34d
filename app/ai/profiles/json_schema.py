"""Rewriting the JSON schemas of tools and outputs for models that understand only a part of JSON schema."""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import Any, ClassVar, TypeAlias, cast

JsonSchema: TypeAlias = dict[str, Any]

_DEFS = "#/$defs/"


class JsonSchemaTransformer(ABC):
    """Applies `transform` to a schema and everything in it, the innermost first.

    A subclass whose `is_strict_compatible` is false after the walk says that the model cannot hold itself to the
    schema.
    """

    is_strict_compatible: bool = True
    _MAPS: ClassVar[tuple[str, ...]] = ("properties", "patternProperties")
    _SINGLES: ClassVar[tuple[str, ...]] = ("items", "additionalProperties")
    _LISTS: ClassVar[tuple[str, ...]] = ("anyOf", "oneOf", "allOf", "prefixItems")

    def __init__(
        self,
        schema: JsonSchema,
        *,
        strict: bool | None = None,
        prefer_inlined_defs: bool = False,
        simplify_nullable_unions: bool = False,
    ):
        """`prefer_inlined_defs` puts definitions in the place of references to them, except for recursive ones.

        `simplify_nullable_unions` turns a union with null into `nullable: true`.
        """
        self.schema = schema
        self.strict = strict
        self.prefer_inlined_defs = prefer_inlined_defs
        self.simplify_nullable_unions = simplify_nullable_unions
        self.defs: dict[str, JsonSchema] = schema.get("$defs", {})
        self.recursive_refs: set[str] = set()
        self._open_refs: list[str] = []

    @abstractmethod
    def transform(self, schema: JsonSchema) -> JsonSchema:
        """Change one level of the schema; the levels below it have been changed before."""

    def walk(self) -> JsonSchema:
        """The whole schema, changed; the given one stays as it is."""
        root = deepcopy({key: value for key, value in self.schema.items() if key != "$defs"})
        walked = self._walk(root)
        kept = self.recursive_refs if self.prefer_inlined_defs else self.defs.keys()
        if kept:
            walked["$defs"] = {name: self._walk_definition(name) for name in self.defs if name in kept}
        return walked

    def _walk_definition(self, name: str) -> JsonSchema:
        self._open_refs.append(name)
        try:
            return self._walk(deepcopy(self.defs[name]))
        finally:
            self._open_refs.pop()

    def _walk(self, schema: JsonSchema) -> JsonSchema:
        if (name := self._inlined(schema)) is not None:
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            return {**self._walk_definition(name), **beside}
        for key in self._MAPS:
            if key in schema:
                schema[key] = {name: self._walk_any(value) for name, value in schema[key].items()}
        for key in self._SINGLES:
            if key in schema:
                schema[key] = self._walk_any(schema[key])
        for key in self._LISTS:
            if key in schema:
                schema[key] = [self._walk_any(value) for value in schema[key]]
        if self.simplify_nullable_unions:
            schema = _simplified(schema)
        return self.transform(schema)

    def _walk_any(self, value: Any) -> Any:
        return self._walk(cast(JsonSchema, value)) if isinstance(value, dict) else value

    def _inlined(self, schema: JsonSchema) -> str | None:
        """The definition to put in place of this reference."""
        ref: str = schema.get("$ref", "")
        name = ref.removeprefix(_DEFS)
        if not self.prefer_inlined_defs or not ref.startswith(_DEFS) or name not in self.defs:
            return None
        if name in self._open_refs:
            self.recursive_refs.add(name)
            return None
        return name


def _simplified(schema: JsonSchema) -> JsonSchema:
    members: list[Any] = schema.get("anyOf", [])
    others = [member for member in members if member != {"type": "null"}]
    if len(others) == len(members) or len(others) != 1:
        return schema
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**others[0], **beside, "nullable": True}


class InlineDefsJsonSchemaTransformer(JsonSchemaTransformer):
    """Puts definitions in the place of the references to them."""

    def __init__(self, schema: JsonSchema, *, strict: bool | None = None):
        super().__init__(schema, strict=strict, prefer_inlined_defs=True)

    def transform(self, schema: JsonSchema) -> JsonSchema:
        return schema
