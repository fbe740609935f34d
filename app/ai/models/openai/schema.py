"""The subset of JSON schema that OpenAI enforces in strict mode."""

from __future__ import annotations

from typing import Any, cast

_SUBSCHEMAS_BY_NAME = ("properties", "$defs", "definitions")
_SUBSCHEMA_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SUBSCHEMAS = ("items",)
_NOT_ENFORCEABLE = frozenset(
    {"minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems", "minProperties"}
    | {"maxProperties", "patternProperties", "propertyNames", "unevaluatedProperties", "contains"}
    | {"minimum", "maximum", "multipleOf", "default", "oneOf", "allOf", "prefixItems"}
)


def is_strict(schema: dict[str, Any]) -> bool:
    """Whether a schema can be enforced as it is: every object closed, with all of its properties required."""
    return not (_NOT_ENFORCEABLE & schema.keys()) and _is_closed(schema) and all(map(is_strict, _children(schema)))


def make_strict(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy that can be enforced: objects closed, all properties required, other constraints moved into words."""
    strict = {key: _rebuild(key, value) for key, value in schema.items() if key not in _NOT_ENFORCEABLE}
    for key in schema.keys() & _NOT_ENFORCEABLE & set(_SUBSCHEMA_LISTS):
        strict["anyOf" if key == "oneOf" else key] = _rebuild(key, schema[key])
    dropped = {key: schema[key] for key in schema.keys() & _NOT_ENFORCEABLE - set(_SUBSCHEMA_LISTS)}
    if dropped:
        words = ", ".join(f"{key}={value!r}" for key, value in sorted(dropped.items()))
        strict["description"] = f"{schema['description']} ({words})" if "description" in schema else words
    if _is_object(schema):
        strict["additionalProperties"] = False
        strict["required"] = list(schema.get("properties", {}))
    return strict


def _is_object(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" or "properties" in schema


def _is_closed(schema: dict[str, Any]) -> bool:
    if not _is_object(schema):
        return True
    names = set(schema.get("properties", {}))
    return schema.get("additionalProperties") is False and names == set(schema.get("required", []))


def _children(schema: dict[str, Any]) -> list[dict[str, Any]]:
    children: list[Any] = [schema[key] for key in _SUBSCHEMAS if key in schema]
    for key in _SUBSCHEMA_LISTS:
        children += schema.get(key, [])
    for key in _SUBSCHEMAS_BY_NAME:
        children += schema.get(key, {}).values()
    return [cast("dict[str, Any]", child) for child in children if isinstance(child, dict)]


def _rebuild(key: str, value: Any) -> Any:
    if key in _SUBSCHEMAS_BY_NAME:
        return {name: make_strict(child) for name, child in value.items()}
    if key in _SUBSCHEMA_LISTS:
        return [make_strict(child) for child in value]
    return make_strict(cast("dict[str, Any]", value)) if key in _SUBSCHEMAS and isinstance(value, dict) else value
