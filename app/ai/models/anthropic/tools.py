"""Tools and output format of a Messages request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from app.ai.exceptions import UserError
from app.ai.models.anthropic.settings import CacheTTL, cache_control
from app.ai.models.parameters import ModelRequestParameters
from app.ai.models.tool_choice import OfferedTools, offer_tools
from app.ai.native_tools import (
    CodeExecutionTool,
    MCPServerTool,
    MemoryTool,
    ToolSearchTool,
    WebFetchTool,
    WebSearchTool,
)
from app.ai.profiles.anthropic import AnthropicJsonSchemaTransformer
from app.ai.settings import ModelSettings
from app.ai.tools import ToolDefinition

_BETAS = {
    MCPServerTool: "mcp-client-2025-04-04",
    MemoryTool: "context-management-2025-06-27",
    WebFetchTool: "web-fetch-2025-09-10",
}
_BETAS_OF_FIELDS = {
    "context_management": "context-management-2025-06-27",
    "speed": "fast-mode-2026-02-01",
}


def betas(body: Mapping[str, Any], parameters: ModelRequestParameters) -> list[str]:
    """The previews that the request needs."""
    wanted = [beta for kind, beta in _BETAS.items() if any(isinstance(tool, kind) for tool in parameters.native_tools)]
    wanted += [beta for name, beta in _BETAS_OF_FIELDS.items() if name in body]
    if any(_has_file_id(message["content"]) for message in body["messages"]):
        wanted.append("files-api-2025-04-14")
    return wanted


def _has_file_id(blocks: Any) -> bool:
    return isinstance(blocks, list) and any(
        block.get("source", {}).get("type") == "file" or _has_file_id(block.get("content"))
        for block in cast("list[dict[str, Any]]", blocks)
    )


def tools_body(settings: ModelSettings, parameters: ModelRequestParameters, *, thinks: bool) -> dict[str, Any]:
    """Tools on offer and whether one has to be called."""
    offered = offer_tools(settings, parameters)
    searches = any(isinstance(tool, ToolSearchTool) for tool in parameters.native_tools)
    # The API does not let a model be forced into a call while it thinks.
    listed = offered.listed(forces_one=not thinks)
    eager = {"eager_input_streaming": True} if settings.get("anthropic_eager_input_streaming") else {}
    tools = [{**_function(tool, deferrable=searches), **eager} for tool in listed]
    tools += [_native(tool) for tool in parameters.native_tools if not isinstance(tool, MCPServerTool)]
    body: dict[str, Any] = {}
    if servers := [_mcp_server(tool) for tool in parameters.native_tools if isinstance(tool, MCPServerTool)]:
        body["mcp_servers"] = servers
    if not tools:
        return body
    ttl: CacheTTL = settings.get("anthropic_cache_tool_definitions", False)  # pyright: ignore[reportAssignmentType]
    if ttl:
        tools[-1]["cache_control"] = cache_control(ttl)
    body["tools"] = tools
    if listed:
        body["tool_choice"] = _choice(offered, may_force=not thinks)
        if settings.get("parallel_tool_calls") is False and offered.mode != "none":
            body["tool_choice"]["disable_parallel_tool_use"] = True
    return body


def _choice(offered: OfferedTools, *, may_force: bool) -> dict[str, Any]:
    if offered.mode != "required":
        return {"type": offered.mode}
    if not may_force:
        return {"type": "auto"}
    return {"type": "tool", "name": offered.forced} if offered.forced else {"type": "any"}


def output_format(parameters: ModelRequestParameters) -> dict[str, Any] | None:
    """The form of the output, where the provider is to enforce it."""
    if parameters.output_mode != "native" or not parameters.output_object:
        return None
    return {"type": "json_schema", "schema": _enforceable(parameters.output_object.json_schema)}


def _function(tool: ToolDefinition, *, deferrable: bool) -> dict[str, Any]:
    schema = _enforceable(tool.parameters_json_schema) if tool.strict else tool.parameters_json_schema
    function: dict[str, Any] = {"name": tool.name, "description": tool.description or "", "input_schema": schema}
    if tool.strict:
        function["strict"] = True
    if tool.defer_loading and deferrable:
        function["defer_loading"] = True
    return function


def _native(tool: Any) -> dict[str, Any]:
    match tool:
        case WebSearchTool():
            location = {"type": "approximate", **tool.user_location} if tool.user_location else None
            return {"type": "web_search_20250305", "name": "web_search", **_given(tool, user_location=location)}
        case WebFetchTool():
            given = _given(tool, max_content_tokens=tool.max_content_tokens)
            citations = {"citations": {"enabled": True}} if tool.enable_citations else {}
            return {"type": "web_fetch_20250910", "name": "web_fetch", **given, **citations}
        case CodeExecutionTool():
            return {"type": "code_execution_20260120", "name": "code_execution"}
        case MemoryTool():
            return {"type": "memory_20250818", "name": "memory"}
        case ToolSearchTool():
            name = f"tool_search_tool_{tool.strategy or 'bm25'}"
            return {"type": f"{name}_20251119", "name": name}
        case _:
            raise UserError(f"Anthropic has no native tool {tool!r}.")


def _given(tool: WebSearchTool | WebFetchTool, **more: Any) -> dict[str, Any]:
    options = {"max_uses": tool.max_uses, **_lists(tool), **more}
    return {key: value for key, value in options.items() if value is not None}


def _lists(tool: WebSearchTool | WebFetchTool) -> dict[str, Any]:
    domains: Iterable[tuple[str, Any]] = (
        ("allowed_domains", tool.allowed_domains),
        ("blocked_domains", tool.blocked_domains),
    )
    return {key: list(value) for key, value in domains if value is not None}


def _mcp_server(tool: MCPServerTool) -> dict[str, Any]:
    server: dict[str, Any] = {"type": "url", "name": tool.id, "url": tool.url}
    if tool.authorization_token:
        server["authorization_token"] = tool.authorization_token
    if tool.allowed_tools is not None:
        server["tool_configuration"] = {"enabled": True, "allowed_tools": tool.allowed_tools}
    return server


def _enforceable(schema: dict[str, Any]) -> dict[str, Any]:
    # The profile has made it so already, unless it is one of somebody's own; doing it twice changes nothing more.
    return AnthropicJsonSchemaTransformer(schema, strict=True).walk()
