"""JSON schemas in the form that Anthropic enforces."""

from __future__ import annotations

from typing import Any

from app.ai.profiles.json_schema import JsonSchema, JsonSchemaTransformer

_NOT_ENFORCED = (
    *("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("multipleOf", "maxItems", "uniqueItems", "minContains", "maxContains", "minProperties", "maxProperties"),
)
_ENFORCED_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")


class AnthropicJsonSchemaTransformer(JsonSchemaTransformer):
    """Drops titles; with `strict` it also closes objects, and tells in descriptions what cannot be enforced.

    Since that may lose something, a schema is only made strict on demand.
    """

    def walk(self) -> JsonSchema:
        walked = super().walk()
        self.is_strict_compatible = self.strict is True
        return walked

    def transform(self, schema: JsonSchema) -> JsonSchema:
        schema.pop("title", None)
        schema.pop("$schema", None)
        if not self.strict:
            return schema
        if schema.get("type") == "object":
            schema["additionalProperties"] = False
        if "oneOf" in schema:
            schema["anyOf"] = schema.pop("oneOf")
            schema.pop("discriminator", None)
        lost: dict[str, Any] = {name: schema.pop(name) for name in _NOT_ENFORCED if name in schema}
        if schema.get("format", "date") not in _ENFORCED_FORMATS:
            lost["format"] = schema.pop("format")
        if schema.get("minItems", 0) > 1:
            lost["minItems"] = schema.pop("minItems")
        if lost:
            words = ", ".join(f"{name}: {value}" for name, value in lost.items())
            told = schema.get("description")
            schema["description"] = f"{told}\n\n{{{words}}}" if told else f"{{{words}}}"
        return schema
