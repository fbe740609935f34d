"""The capabilities that agent specs may name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from app.ai.capabilities.abstract import AbstractCapability
from app.ai.capabilities.bundle import Capability
from app.ai.capabilities.instrumentation import Instrumentation
from app.ai.capabilities.mcp_servers import MCPServers
from app.ai.capabilities.native import MCP, ImageGeneration, NativeTool, WebFetch, WebSearch, XSearch
from app.ai.capabilities.ready_made import (
    IncludeToolReturnSchemas,
    PrefixTools,
    ReinjectSystemPrompt,
    SetToolMetadata,
    Thinking,
)
from app.ai.capabilities.tool_search import ToolSearch

CAPABILITY_TYPES: Final[Mapping[str, type[AbstractCapability[Any]]]] = {
    type_.__name__: type_
    for type_ in (
        Capability,
        ImageGeneration,
        IncludeToolReturnSchemas,
        Instrumentation,
        MCP,
        MCPServers,
        NativeTool,
        PrefixTools,
        ReinjectSystemPrompt,
        SetToolMetadata,
        Thinking,
        ToolSearch,
        WebFetch,
        WebSearch,
        XSearch,
    )
}
"""Those whose arguments can be written down; the others take functions, so they are for agents in Python."""
