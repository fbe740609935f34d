"""What Google's models can do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.ai.profiles import ModelProfile
from app.ai.profiles.json_schema import JsonSchema, JsonSchemaTransformer

__all__ = "GoogleJsonSchemaTransformer", "GoogleModelProfile", "google_model_profile"

_TYPES: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}


class GoogleJsonSchemaTransformer(JsonSchemaTransformer):
    """Says in Gemini's part of JSON schema what it has no words for: constants, formats of text."""

    def transform(self, schema: JsonSchema) -> JsonSchema:
        for name in ("$schema", "title", "discriminator", "examples", "exclusiveMinimum", "exclusiveMaximum"):
            schema.pop(name, None)
        if (constant := schema.pop("const", None)) is not None:
            schema["enum"] = [constant]
            if "type" not in schema and type(constant) in _TYPES:
                schema["type"] = _TYPES[type(constant)]
        if schema.get("type") == "string" and (form := schema.pop("format", None)):
            told = schema.get("description")
            schema["description"] = f"{told} (format: {form})" if told else f"Format: {form}"
        return schema


@dataclass(kw_only=True)
class GoogleModelProfile(ModelProfile):
    """What a model behind the Gemini API can do."""

    google_supports_thinking_level: bool = True
    """Whether thinking is asked for by a level; older models get a budget of tokens."""
    google_supports_files_in_results: bool = True
    """Whether files that a tool returned stand beside its result; older models get them as the user's."""
    google_supports_tool_combination: bool = True
    """Whether the provider's own tools and functions can be offered together, and the former's calls are told."""


_VERSION = re.compile(r"gemini-(\d+(?:\.\d+)?)")


def google_model_profile(model_name: str) -> GoogleModelProfile:
    """The profile of a model by its name; names without a version count as the newest."""
    found = _VERSION.search(model_name)
    version = float(found[1]) if found else 99.0
    draws = "image" in model_name
    return GoogleModelProfile(
        json_schema_transformer=GoogleJsonSchemaTransformer,
        supports_tools=not draws,
        supports_tool_return_schema=not draws,
        supports_json_schema_output=not draws,
        supports_json_object_output=not draws,
        supports_image_output=draws,
        supports_thinking=version >= 2.5 and not draws,
        thinking_always_enabled=version >= 3 or "2.5-pro" in model_name,
        google_supports_thinking_level=version >= 3,
        google_supports_files_in_results=version >= 3,
        google_supports_tool_combination=version >= 3,
    )
