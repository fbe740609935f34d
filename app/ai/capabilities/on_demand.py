"""Capabilities that the model loads when it needs them.

Until then the model knows their ids and descriptions, and nothing else of them: no instructions, tools, native tools
or settings. Which ones are loaded is read from the messages, so a run that goes on with a history still has them.
Hooks run from the beginning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from pydantic_core import SchemaValidator, core_schema

from app.ai.callbacks import call_user_function, resolve
from app.ai.capabilities.abstract import AbstractCapability
from app.ai.exceptions import ModelRetry, UserError
from app.ai.instructions import AgentInstructions, Instructions
from app.ai.messages import InstructionPart
from app.ai.native_tools import AbstractNativeTool, AgentNativeTool
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition
from app.ai.toolsets import AbstractToolset, CombinedToolset, ToolsetTool, WrapperToolset, as_toolset
from app.ai.toolsets.abstract import ToolsetInstructions

LOAD_TOOL: Final = "load_capability"

_DESCRIPTION: Final = "Load one of the capabilities that the instructions list, before you do what it is for."
_ID_DESCRIPTION: Final = "The id of the capability."
_CATALOG: Final = f"These capabilities are loaded with the tool `{LOAD_TOOL}` when they are needed:"
_LOADED: Final = "The capability is loaded. Its tools can be called from now on."

_id_validator = SchemaValidator(
    core_schema.typed_dict_schema(
        {"id": core_schema.typed_dict_field(core_schema.str_schema())}, extra_behavior="forbid"
    )
)


def instructions_of(capability: AbstractCapability[AgentDepsT]) -> AgentInstructions[AgentDepsT]:
    """What the capability adds to the instructions of every request."""
    return None if capability.defer_loading else capability.get_instructions()


def model_settings_of(capability: AbstractCapability[Any]) -> Any:
    """The settings of the capability, empty until it is loaded."""
    settings = capability.get_model_settings()
    return partial(_settings, capability.id, settings) if capability.defer_loading and settings else settings


def native_tools_of(capability: AbstractCapability[Any]) -> Sequence[AgentNativeTool[Any]]:
    """The native tools of the capability, each None until it is loaded."""
    tools = capability.get_native_tools()
    return [partial(_native_tool, capability.id, tool) for tool in tools] if capability.defer_loading else tools


def toolset_of(capability: AbstractCapability[AgentDepsT]) -> AbstractToolset[AgentDepsT] | None:
    """The toolset of the capability, empty until it is loaded."""
    given = capability.get_toolset()
    if given is None:
        return None
    toolset = as_toolset(given)
    return OnDemandToolset(toolset, capability.id) if capability.defer_loading else toolset


def by_id(capabilities: Sequence[AbstractCapability[AgentDepsT]]) -> dict[str, AbstractCapability[AgentDepsT]]:
    """Those that have an id. Raises `UserError` if an id is missing or given twice."""
    known: dict[str, AbstractCapability[AgentDepsT]] = {}
    for capability in capabilities:
        if capability.id is None:
            if capability.defer_loading:
                name = type(capability).__name__
                raise UserError(f"The capability {name} has `defer_loading`, so it needs an `id` to be loaded by")
        elif capability.id in known:
            raise UserError(f"Two capabilities have the id {capability.id!r}; give each its own")
        else:
            known[capability.id] = capability
    return known


def with_loader(
    toolset: AbstractToolset[AgentDepsT], capabilities: Mapping[str, AbstractCapability[AgentDepsT]]
) -> AbstractToolset[AgentDepsT]:
    """The toolset with the tool that loads capabilities, if there are any to load."""
    deferred = {id_: capability for id_, capability in capabilities.items() if capability.defer_loading}
    return CombinedToolset([toolset, CapabilityLoader(deferred)]) if deferred else toolset


@dataclass
class OnDemandToolset(WrapperToolset[AgentDepsT]):
    """A toolset that is empty until the capability with this id is loaded."""

    capability_id: str | None

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> ToolsetInstructions:
        return await self.wrapped.get_instructions(ctx) if self.capability_id in ctx.loaded_capability_ids else None

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        return await self.wrapped.get_tools(ctx) if self.capability_id in ctx.loaded_capability_ids else {}


class CapabilityLoader(AbstractToolset[AgentDepsT]):
    """Loads capabilities for the model: a leaf, so that durable runs record it like calls of other tools."""

    def __init__(self, capabilities: Mapping[str, AbstractCapability[AgentDepsT]]):
        self.capabilities = capabilities

    @property
    def id(self) -> str | None:
        return "<capabilities>"

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> ToolsetInstructions:
        entries = [f"- {id_}{await _described(capability, ctx)}" for id_, capability in self.capabilities.items()]
        # The same at every step, so that what providers cache stays valid when something was loaded.
        return InstructionPart("\n".join([_CATALOG, *entries]))

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        known = {"type": "string", "enum": list(self.capabilities), "description": _ID_DESCRIPTION}
        schema = {"type": "object", "properties": {"id": known}}
        definition = ToolDefinition(
            name=LOAD_TOOL,
            description=_DESCRIPTION,
            parameters_json_schema={**schema, "required": ["id"], "additionalProperties": False},
            tool_kind="capability-load",
        )
        tool = ToolsetTool(
            toolset=self,
            tool_def=definition,
            max_retries=ctx.max_retries,
            args_validator=_id_validator,
            idempotent=True,
        )
        return {LOAD_TOOL: tool}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        capability = self.capabilities.get(tool_args["id"])
        if capability is None:
            raise ModelRetry(f"There is no capability {tool_args['id']!r}; there are {', '.join(self.capabilities)}")
        parts = await Instructions.of(capability.get_instructions()).parts(ctx)
        return {"instructions": InstructionPart.join(parts) or _LOADED}


async def _described(capability: AbstractCapability[AgentDepsT], ctx: RunContext[AgentDepsT]) -> str:
    text = capability.description
    text = text if text is None or isinstance(text, str) else text.render(ctx.deps)
    return f": {text}" if text else ""


async def _settings(id_: str | None, settings: Any, ctx: RunContext[Any]) -> ModelSettings:
    if id_ not in ctx.loaded_capability_ids:
        return ModelSettings()
    return cast("ModelSettings", await resolve(settings(ctx)) if callable(settings) else settings)


async def _native_tool(id_: str | None, tool: AgentNativeTool[Any], ctx: RunContext[Any]) -> AbstractNativeTool | None:
    if id_ not in ctx.loaded_capability_ids:
        return None
    return tool if isinstance(tool, AbstractNativeTool) else await call_user_function(tool, ctx)
