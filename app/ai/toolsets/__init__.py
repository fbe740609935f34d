"""Toolsets: collections of tools, and wrappers that change how a run sees them."""

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from app.ai.checks import each, expect
from app.ai.run_context import AgentDepsT
from app.ai.tools import ToolSelector
from app.ai.toolsets.abstract import AbstractToolset, SchemaValidatorProt, ToolsetTool
from app.ai.toolsets.approval_required import ApprovalRequiredToolset
from app.ai.toolsets.combined import CombinedToolset
from app.ai.toolsets.deferred_loading import DeferredLoadingToolset
from app.ai.toolsets.dynamic import DynamicToolset, ToolsetFunc
from app.ai.toolsets.external import DeferredToolset, ExternalToolset
from app.ai.toolsets.filtered import FilteredToolset
from app.ai.toolsets.function import FunctionToolset, FunctionToolsetTool
from app.ai.toolsets.include_return_schemas import IncludeReturnSchemasToolset
from app.ai.toolsets.prefixed import PrefixedToolset
from app.ai.toolsets.prepared import PreparedToolset
from app.ai.toolsets.renamed import RenamedToolset
from app.ai.toolsets.set_metadata import SetMetadataToolset
from app.ai.toolsets.wrapper import WrapperToolset

AgentToolset: TypeAlias = AbstractToolset[AgentDepsT] | ToolsetFunc[AgentDepsT]
"""A toolset, or a function that chooses one."""


def as_toolset(toolset: AgentToolset[Any]) -> AbstractToolset[Any]:
    """A toolset, also of a function that chooses one."""
    if isinstance(toolset, AbstractToolset):
        return cast("AbstractToolset[Any]", toolset)
    expect("toolsets", toolset, "toolsets and functions that choose one", function=True)
    return DynamicToolset(toolset)


def as_toolsets(toolsets: Sequence[AgentToolset[Any]] | None) -> list[AbstractToolset[Any]]:
    """The toolsets that an agent or a run is given, if any."""
    return [as_toolset(toolset) for toolset in each("toolsets", toolsets, "toolsets")]


__all__ = (
    "AbstractToolset",
    "AgentToolset",
    "ApprovalRequiredToolset",
    "CombinedToolset",
    "DeferredLoadingToolset",
    "DeferredToolset",
    "DynamicToolset",
    "ExternalToolset",
    "FilteredToolset",
    "FunctionToolset",
    "FunctionToolsetTool",
    "IncludeReturnSchemasToolset",
    "PrefixedToolset",
    "PreparedToolset",
    "RenamedToolset",
    "SchemaValidatorProt",
    "SetMetadataToolset",
    "ToolSelector",
    "ToolsetFunc",
    "ToolsetTool",
    "WrapperToolset",
    "as_toolset",
    "as_toolsets",
)
