"""MCP servers as toolsets. Importing this does not import the `mcp` SDK; the first connection does."""

from app.ai.mcp.config_file import load_mcp_servers
from app.ai.mcp.content import ToolResult
from app.ai.mcp.errors import MCPCallLost, MCPServerUnavailable
from app.ai.mcp.http import MCPServerStreamableHTTP
from app.ai.mcp.policy import ApprovalRule
from app.ai.mcp.progress import MCPProgress, on_progress
from app.ai.mcp.resources import MCPError, Resource, ResourceAnnotations, ResourceTemplate
from app.ai.mcp.server import CallToolFunc, MCPServer, ProcessToolCallback
from app.ai.mcp.sse import MCPServerSSE
from app.ai.mcp.stdio import MCPServerStdio
from app.ai.mcp.toolset import MCPToolset, load_mcp_toolsets

__all__ = (
    "ApprovalRule",
    "CallToolFunc",
    "MCPCallLost",
    "MCPError",
    "MCPProgress",
    "MCPServer",
    "MCPServerSSE",
    "MCPServerStdio",
    "MCPServerStreamableHTTP",
    "MCPServerUnavailable",
    "MCPToolset",
    "ProcessToolCallback",
    "Resource",
    "ResourceAnnotations",
    "ResourceTemplate",
    "ToolResult",
    "load_mcp_servers",
    "load_mcp_toolsets",
    "on_progress",
)
