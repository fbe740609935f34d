"""The ways in which a model can be asked for structured output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = "OutputMode", "OutputObjectDefinition", "StructuredOutputMode"

OutputMode: TypeAlias = Literal["text", "tool", "native", "prompted", "tool_or_text", "image", "auto"]
StructuredOutputMode: TypeAlias = Literal["tool", "native", "prompted"]


@dataclass
class OutputObjectDefinition:
    """The schema of a structured output, as native and prompted modes send it."""

    json_schema: dict[str, Any]
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
