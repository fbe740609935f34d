"""JSON schemas in the form that OpenAI enforces."""

from __future__ import annotations

from typing import Any

from app.ai.profiles.json_schema import JsonSchema, JsonSchemaTransformer

_DEFS = "#/$defs/"
_NOT_ENFORCED = (
    *("minLength", "maxLength", "patternProperties", "unevaluatedProperties", "propertyNames", "minProperties"),
    *("maxProperties", "unevaluatedItems", "contains", "minContains", "maxContains", "uniqueItems"),
)
"""Keywords that the strict mode refuses; there they become words in the description."""
_ENFORCED_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
_NOT_TRANSLATED = ("allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "prefixItems")
"""Keywords that the strict mode refuses and that cannot be said otherwise."""


class OpenAIJsonSchemaTransformer(JsonSchemaTransformer):
    """Closes objects and drops what says nothing to the model.

    With `strict` every property is required, and what cannot be enforced is told in descriptions. Without a decision
    (None), `is_strict_compatible` tells whether the schema can be enforced with nothing lost.
    """

    def __init__(self, schema: JsonSchema, *, strict: bool | None = None):
        super().__init__(schema, strict=strict)
        self._root_ref: str | None = schema.get("$ref")

    def walk(self) -> JsonSchema:
        walked = super().walk()
        name = (self._root_ref or "").removeprefix(_DEFS)
        if self._root_ref and name in walked.get("$defs", {}):
            # A reference cannot stand at the root; what refers to it refers to the root then.
            walked.pop("$ref", None)
            walked |= walked["$defs"][name]
        return walked

    def transform(self, schema: JsonSchema) -> JsonSchema:
        for name in ("title", "$schema", "discriminator"):
            schema.pop(name, None)
        if "default" in schema:
            self._lose(schema, ["default"])
        if ref := schema.get("$ref"):
            if ref == self._root_ref:
                schema["$ref"] = "#"
            if len(schema) > 1:  # nothing may stand beside a reference
                schema["anyOf"] = [{"$ref": schema.pop("$ref")}]
        self._tell_what_is_not_enforced(schema)
        if schema.get("type") == "object":
            self._close(schema)
        if "oneOf" in schema and self.strict:
            schema["anyOf"] = schema.pop("oneOf")
        if "oneOf" in schema or any(name in schema for name in _NOT_TRANSLATED):
            self._lose(schema, [])
        return schema

    def _lose(self, schema: JsonSchema, names: list[str]) -> None:
        if self.strict:
            for name in names:
                del schema[name]
        elif self.strict is None:
            self.is_strict_compatible = False

    def _tell_what_is_not_enforced(self, schema: JsonSchema) -> None:
        lost: dict[str, Any] = {name: schema[name] for name in _NOT_ENFORCED if name in schema}
        if schema.get("format", "date") not in _ENFORCED_FORMATS:
            lost["format"] = schema["format"]
        if not lost:
            return
        self._lose(schema, list(lost))
        if self.strict:
            words = ", ".join(f"{name}={value}" for name, value in lost.items())
            told = schema.get("description")
            schema["description"] = f"{told} ({words})" if told else words

    def _close(self, schema: JsonSchema) -> None:
        if self.strict:
            schema["additionalProperties"] = False
            names = schema.setdefault("properties", {})
            if set(schema.get("required", ())) != names.keys():
                schema["required"] = list(names)
        elif self.strict is None:
            if schema.get("additionalProperties", False) is False:
                schema["additionalProperties"] = False
            else:
                self.is_strict_compatible = False
            if "properties" not in schema or schema["properties"].keys() - set(schema.get("required", ())):
                self.is_strict_compatible = False
