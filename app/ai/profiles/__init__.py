"""What a model can do and how it wants to be asked, apart from the API that it is reached by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Self, TypeAlias

from app.ai.native_tools import SUPPORTED_NATIVE_TOOLS, AbstractNativeTool
from app.ai.output_modes import StructuredOutputMode
from app.ai.profiles.json_schema import InlineDefsJsonSchemaTransformer, JsonSchemaTransformer

__all__ = (
    "DEFAULT_PROFILE",
    "InlineDefsJsonSchemaTransformer",
    "JsonSchemaTransformer",
    "ModelProfile",
    "ModelProfileSpec",
)

DEFAULT_PROMPTED_OUTPUT_TEMPLATE = """\
Answer with one JSON object that fits this JSON schema:

{schema}

Give the bare JSON: no Markdown fence and no text around it.
"""


@dataclass(kw_only=True)
class ModelProfile:
    """What a model can do and how it wants to be asked."""

    supports_tools: bool = True
    supports_tool_return_schema: bool = False
    """Whether a tool's definition has a place for the schema of what it returns; others are told in the description."""
    supports_json_schema_output: bool = False
    supports_json_object_output: bool = False
    supports_image_output: bool = False
    supports_thinking: bool = False
    thinking_always_enabled: bool = False
    default_structured_output_mode: StructuredOutputMode = "tool"
    """What the output mode `auto` means for this model."""
    prompted_output_template: str = DEFAULT_PROMPTED_OUTPUT_TEMPLATE
    """Instructions for prompted output; `{schema}` stands for the JSON schema."""
    native_output_requires_schema_in_instructions: bool = False
    json_schema_transformer: type[JsonSchemaTransformer] | None = None
    """Rewrites the schemas of tools and outputs, for a model that does not understand all of JSON schema."""
    supported_native_tools: frozenset[type[AbstractNativeTool]] = SUPPORTED_NATIVE_TOOLS
    """The tools of the provider that this model may use, among those that its API has."""
    thinking_tags: tuple[str, str] = ("<think>", "</think>")
    """The tags around thinking that the model puts into its text."""
    ignore_streamed_leading_whitespace: bool = False
    """Whether to drop blank text at the start of a streamed text part."""

    @classmethod
    def from_profile(cls, profile: ModelProfile | None) -> Self:
        """This kind of profile with what another profile sets."""
        return profile if isinstance(profile, cls) else cls().update(profile)

    def update(self, profile: ModelProfile | None) -> Self:
        """A copy with every field that another profile sets to something else than its default."""
        if profile is None:
            return self
        known = {item.name for item in fields(self)}
        values: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        for item in fields(profile):
            value = getattr(profile, item.name)
            if item.name in known and value != item.default:
                values[item.name] = value
        return type(self)(**values)


ModelProfileSpec: TypeAlias = ModelProfile | Callable[[str], ModelProfile | None]
"""A profile, or a function from the model's name to its profile."""

DEFAULT_PROFILE = ModelProfile()
