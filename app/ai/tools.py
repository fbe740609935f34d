"""Tools: functions that a model may call, and how they are described to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .run_context import AgentDepsT, RunContext, RunContextAgentDepsT

__all__ = (
    "AgentDepsT",
    "ObjectJsonSchema",
    "RunContext",
    "RunContextAgentDepsT",
    "ToolDefinition",
    "ToolKind",
)

ObjectJsonSchema: TypeAlias = dict[str, Any]
"""A JSON schema whose type is object."""

ToolKind: TypeAlias = Literal["function", "output", "external", "unapproved"]
"""Who answers a call: a function, the end of the run, someone outside it, or a function once a person agrees."""


def _no_parameters() -> ObjectJsonSchema:
    return {"type": "object", "properties": {}}


@dataclass(kw_only=True)
class ToolDefinition:
    """A tool as it is described to the model."""

    name: str
    """The name that the model calls."""
    parameters_json_schema: ObjectJsonSchema = field(default_factory=_no_parameters)
    """The schema of the arguments, always an object."""
    description: str | None = None
    """What the tool does, in words for the model."""
    outer_typed_dict_key: str | None = None
    """The key that wraps an output which is not itself an object."""
    strict: bool | None = None
    """Whether the provider shall enforce the schema; None leaves it to the model's adapter."""
    sequential: bool = False
    """Whether a call to this tool makes its whole batch run one after another."""
    kind: ToolKind = "function"
    """Who answers a call."""
    metadata: dict[str, Any] | None = None
    """Data for the application; the model never sees it."""
    timeout: float | None = None
    """Seconds that one call may take."""
    defer_loading: bool = False
    """Whether the tool stays hidden until it has been searched for."""
    return_schema: ObjectJsonSchema | None = None
    """The schema of what the tool returns, when known."""
    include_return_schema: bool | None = None
    """Whether the model is told the return schema."""

    @property
    def defer(self) -> bool:
        """Whether a call is answered outside the run."""
        return self.kind in ("external", "unapproved")
