"""What a request offers to a model besides messages."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from app.ai.messages import InstructionPart
from app.ai.output_modes import OutputMode, OutputObjectDefinition
from app.ai.reprs import repr_without_defaults
from app.ai.settings import ThinkingLevel
from app.ai.tools import ToolDefinition


@dataclass(repr=False, kw_only=True)
class ModelRequestParameters:
    """What a request offers to the model besides messages: tools, and the form of the output."""

    function_tools: list[ToolDefinition] = field(default_factory=list[ToolDefinition])
    native_tools: list[Any] = field(default_factory=list[Any])
    output_mode: OutputMode = "text"
    output_object: OutputObjectDefinition | None = None
    output_tools: list[ToolDefinition] = field(default_factory=list[ToolDefinition])
    prompted_output_template: str | Literal[False] | None = None
    allow_text_output: bool = True
    allow_image_output: bool = False
    instruction_parts: list[InstructionPart] | None = None
    thinking: ThinkingLevel | None = None

    @property
    def tool_defs(self) -> dict[str, ToolDefinition]:
        """Function and output tools by name."""
        return {tool.name: tool for tool in (*self.function_tools, *self.output_tools)}

    @property
    def builtin_tools(self) -> list[Any]:
        """Old name of `native_tools`."""
        return self.native_tools

    @property
    def prompted_output_instructions(self) -> str | None:
        """The instructions that ask for the output object: in prompted mode, in native mode if there is a template."""
        asks = self.output_mode in ("prompted", "native")
        if not asks or not self.output_object or not self.prompted_output_template:
            return None
        output = self.output_object
        schema = {**output.json_schema}
        if output.name:
            schema["title"] = output.name
        if output.description:
            schema["description"] = output.description
        template = self.prompted_output_template
        if "{schema}" not in template:
            template += "\n\n{schema}"
        # Not str.format: schemas and templates are full of braces.
        return template.replace("{schema}", json.dumps(schema, ensure_ascii=False))

    __repr__ = repr_without_defaults
