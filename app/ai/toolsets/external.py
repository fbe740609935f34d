"""Tools that somebody outside the run answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic_core import SchemaValidator, core_schema

from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import ToolDefinition
from app.ai.toolsets.abstract import AbstractToolset, ToolsetTool

# Whoever answers the call knows what the arguments mean. The run only knows whether they are a JSON object at all.
TOOL_SCHEMA_VALIDATOR = SchemaValidator(core_schema.dict_schema())


class ExternalToolset(AbstractToolset[AgentDepsT]):
    """Tools known by definition only: a call ends the run, which is resumed with its result."""

    def __init__(self, tool_defs: Sequence[ToolDefinition], *, id: str | None = None):
        self.tool_defs = list(tool_defs)
        self._id = id

    @property
    def id(self) -> str | None:
        return self._id

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return {
            definition.name: ToolsetTool(
                toolset=self,
                tool_def=replace(definition, kind="external"),
                max_retries=ctx.max_retries,
                args_validator=TOOL_SCHEMA_VALIDATOR,
            )
            for definition in self.tool_defs
        }

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        raise NotImplementedError(f"Tool {name!r} is answered outside the run and cannot be called")


DeferredToolset = ExternalToolset
"""An older name."""
