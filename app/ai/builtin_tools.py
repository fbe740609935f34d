"""The older name of `app.ai.native_tools`."""

from app.ai.native_tools import (
    NATIVE_TOOL_TYPES,
    SUPPORTED_NATIVE_TOOLS,
    AbstractBuiltinTool,
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    MemoryTool,
    UrlContextTool,
    WebFetchTool,
    WebSearchTool,
    WebSearchUserLocation,
)

__all__ = (
    "BUILTIN_TOOL_TYPES",
    "SUPPORTED_BUILTIN_TOOLS",
    "AbstractBuiltinTool",
    "CodeExecutionTool",
    "FileSearchTool",
    "ImageGenerationTool",
    "MCPServerTool",
    "MemoryTool",
    "UrlContextTool",
    "WebFetchTool",
    "WebSearchTool",
    "WebSearchUserLocation",
)

BUILTIN_TOOL_TYPES = NATIVE_TOOL_TYPES
SUPPORTED_BUILTIN_TOOLS = SUPPORTED_NATIVE_TOOLS
