"""Sample data that fits a JSON schema, the same for the same seed."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from app.ai.exceptions import UserError
from app.ai.tools import ObjectJsonSchema

_CHARACTERS = string.ascii_letters + string.digits + string.punctuation
_DEFS = "#/$defs/"


class SchemaSample:
    """Makes the smallest data that fits a JSON schema; the seed picks among alternatives."""

    def __init__(self, schema: ObjectJsonSchema, seed: int = 0):
        self._schema = schema
        self._defs: Mapping[str, Any] = schema.get("$defs", {})
        self._seed = seed
        self._open_refs: list[str] = []

    def make(self) -> Any:
        """The data."""
        return self._any(self._schema)

    def _any(self, schema: Mapping[str, Any]) -> Any:
        if "const" in schema:
            return schema["const"]
        for choice in ("enum", "examples"):
            if schema.get(choice):
                return schema[choice][self._seed % len(schema[choice])]
        if ref := schema.get("$ref"):
            return self._referenced(ref)
        if alternatives := schema.get("anyOf") or schema.get("oneOf"):
            return self._one_of(alternatives)
        if merged := schema.get("allOf"):
            return self._any({**schema, **_merge(merged), "allOf": None})
        return self._typed(schema)

    def _typed(self, schema: Mapping[str, Any]) -> Any:
        kind: str | list[str] | None = schema.get("type")
        if isinstance(kind, list):
            kind = kind[self._seed % len(kind)]
        by_type: dict[str, Callable[[Mapping[str, Any]], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._integer,
            "number": lambda schema: float(self._integer(schema)),
            "boolean": lambda _: self._seed % 2 == 1,
            "null": lambda _: None,
        }
        if kind is None:
            kind = "object" if "properties" in schema else "string"
        return by_type[kind](schema)

    def _referenced(self, ref: str) -> Any:
        if not ref.startswith(_DEFS) or ref.removeprefix(_DEFS) not in self._defs:
            raise UserError(f"The JSON schema refers to {ref}, which it does not define.")
        if ref in self._open_refs:
            raise UserError(f"The JSON schema requires {ref} within itself without end.")
        self._open_refs.append(ref)
        try:
            return self._any(self._defs[ref.removeprefix(_DEFS)])
        finally:
            self._open_refs.pop()

    def _recurses(self, schema: Mapping[str, Any]) -> bool:
        return schema.get("$ref") in self._open_refs

    def _one_of(self, alternatives: list[Mapping[str, Any]]) -> Any:
        finite = [alternative for alternative in alternatives if not self._recurses(alternative)] or alternatives
        return self._any(finite[self._seed % len(finite)])

    def _object(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        required: list[str] = schema.get("required", [])
        properties: Mapping[str, Any] = schema.get("properties", {})
        data = {key: self._any(properties.get(key, {})) for key in required}
        if additional := schema.get("additionalProperties"):
            key = "additionalProperty"
            while key in properties:
                key += "_"
            data[key] = self._characters() if additional is True else self._any(additional)
        return data

    def _array(self, schema: Mapping[str, Any]) -> list[Any]:
        items: Any = schema.get("items")
        schemas: list[Any] = [*schema.get("prefixItems", [])]
        missing = schema.get("minItems", 0) - len(schemas)
        if missing > 0:
            schemas += [items or {}] * missing
        elif items and len(schemas) < schema.get("maxItems", len(schemas) + 1) and not self._recurses(items):
            schemas.append(items)
        data: list[Any] = []
        for item in schemas:
            data.append(self._any(item))
            if schema.get("uniqueItems"):
                self._seed += 1
        return data

    def _string(self, schema: Mapping[str, Any]) -> str:
        if min_length := schema.get("minLength"):
            return (self._characters() * min_length)[:min_length]
        if schema.get("maxLength") == 0:
            return ""
        day = (date(2024, 1, 1) + timedelta(days=self._seed)).isoformat()
        by_format = {
            "date": day,
            "date-time": f"{day}T00:00:00Z",
            "time": "00:00:00Z",
            "duration": f"P{self._seed}D",
            "uuid": str(UUID(int=self._seed, version=4)),
        }
        return by_format.get(schema.get("format", ""), self._characters())

    def _integer(self, schema: Mapping[str, Any]) -> int:
        lowest = schema.get("minimum")
        if lowest is None and "exclusiveMinimum" in schema:
            lowest = schema["exclusiveMinimum"] + 1
        highest = schema.get("maximum")
        if highest is None and "exclusiveMaximum" in schema:
            highest = schema["exclusiveMaximum"] - 1
        if lowest is None:
            return self._seed if highest is None else int(highest) - self._seed
        if highest is None:
            return int(lowest) + self._seed
        return int(lowest) + self._seed % max(int(highest) - int(lowest), 1)

    def _characters(self) -> str:
        """The seed as a number whose digits are characters: 0 is `a`."""
        rest, index = divmod(self._seed, len(_CHARACTERS))
        text = ""
        while rest > 0:
            rest, before = divmod(rest - 1, len(_CHARACTERS))
            text += _CHARACTERS[before]
        return text + _CHARACTERS[index]


def _merge(schemas: list[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for schema in schemas:
        for key, value in schema.items():
            if key == "properties":
                merged[key] = {**merged.get(key, {}), **value}
            elif key == "required":
                merged[key] = [*merged.get(key, []), *value]
            else:
                merged[key] = value
    return merged
