"""MCP servers as toolsets. Importing this does not import the `mcp` SDK; the first connection does."""

from app.ai.mcp.config_file import load_mcp_servers
from app.ai.mcp.content import ToolResult
from app.ai.mcp.errors import MCPCallLost, MCPServerUnavailable
from app.ai.mcp.http import MCPServerStreamableHTTP
from app.ai.mcp.options import CallToolFunc, ProcessToolCallback
from app.ai.mcp.policy import ApprovalRule
from app.ai.mcp.progress import MCPProgress, on_progress
from app.ai.mcp.resources import MCPError, Resource, ResourceAnnotations, ResourceTemplate
from app.ai.mcp.server import MCPServer, opened_on_demand
from app.ai.mcp.server_capabilities import ServerCapabilities
from app.ai.mcp.sse import MCPServerHTTP, MCPServerSSE
from app.ai.mcp.stdio import MCPServerStdio
from app.ai.mcp.toolset import MCPToolset, load_mcp_toolsets

__all__ = (
    "ApprovalRule",
    "CallToolFunc",
    "MCPCallLost",
    "MCPError",
    "MCPProgress",
    "MCPServer",
    "MCPServerHTTP",
    "MCPServerSSE",
    "MCPServerStdio",
    "MCPServerStreamableHTTP",
    "MCPServerUnavailable",
    "MCPToolset",
    "ProcessToolCallback",
    "Resource",
    "ResourceAnnotations",
    "ResourceTemplate",
    "ServerCapabilities",
    "ToolResult",
    "load_mcp_servers",
    "load_mcp_toolsets",
    "on_progress",
    "opened_on_demand",
)
