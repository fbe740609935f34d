"""Recorded exchanges of the Messages API."""

from __future__ import annotations

import base64
import json
from typing import Any

from app.ai.messages import (
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserContent,
    UserPromptPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.native_tools import (
    CodeExecutionTool,
    MCPServerTool,
    MemoryTool,
    ToolSearchTool,
    WebFetchTool,
    WebSearchTool,
)
from app.ai.output_modes import OutputObjectDefinition
from app.ai.tools import ToolDefinition
from tests.ai.models.recorded.traffic import Answered, Asked, add_request, events, tool_names, turn

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_call",
    "refusal": "content_filter",
}
_SETTINGS = {
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop_sequences",
    "thinking": "anthropic_thinking",
    "metadata": "anthropic_metadata",
    "service_tier": "anthropic_service_tier",
    "container": "anthropic_container",
    "context_management": "anthropic_context_management",
}

EXPLAINED = {
    "-$.stream": "false is the default",
    "+$.tool_choice": "auto, the default, is spelled out",
    "~$.messages[].content[].content": "a tool's result goes as a list of blocks",
    "+$.messages[].content[].is_error": "false, the default, is spelled out",
    "~$.tools[].type": "a fixed version of the provider's tool",
    "-$.tools[].allowed_callers": "the provider's tools are called directly in the version that we ask for",
    "~$.system": "the system prompt is one text",
    "~$.stream": "long answers are streamed in any case",
}


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A body in which lists stand item beside item."""
    return body


def understood(body: dict[str, Any], answers: list[ModelResponse]) -> Asked:
    """A recorded request in our terms."""
    messages: list[ModelMessage] = []
    if system := body.get("system"):
        add_request(messages, *(SystemPromptPart(text) for text in _texts(system)))
    for message in body["messages"]:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            messages.append(turn([_answer_part(block) for block in blocks], answers, "anthropic"))
        elif message["role"] == "system":
            add_request(messages, *(SystemPromptPart(text) for text in _texts(blocks)))
        else:
            _add_user(messages, blocks)
    settings = {ours: body[theirs] for theirs, ours in _SETTINGS.items() if theirs in body}
    if effort := body.get("output_config", {}).get("effort"):
        settings["anthropic_effort"] = effort
    last = body["messages"][-1]
    if last["role"] == "system" and "cache_control" in last["content"][-1]:
        settings["anthropic_cache_messages"] = last["content"][-1]["cache_control"].get("ttl", True)
    if "cache_control" in body:
        settings["anthropic_cache"] = body["cache_control"].get("ttl", True)
    choice = body.get("tool_choice", {})
    if choice.get("type") == "any":
        settings["tool_choice"] = "required"
    if choice.get("disable_parallel_tool_use"):
        settings["parallel_tool_calls"] = False
    return Asked(messages, settings, _parameters(body))


def _texts(system: Any) -> list[str]:
    return [system] if isinstance(system, str) else [block["text"] for block in system if block["type"] == "text"]


def _parameters(body: dict[str, Any]) -> ModelRequestParameters:
    functions = [tool for tool in body.get("tools", []) if "input_schema" in tool]
    native = [_native(tool) for tool in body.get("tools", []) if "input_schema" not in tool]
    for server in body.get("mcp_servers", []):
        allowed = server.get("tool_configuration", {}).get("allowed_tools")
        native.append(MCPServerTool(id=server["name"], url=server["url"], allowed_tools=allowed))
    schema = body.get("output_config", {}).get("format", {}).get("schema")
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool["name"],
                description=tool.get("description"),
                parameters_json_schema=tool["input_schema"],
                strict=tool.get("strict"),
                defer_loading=tool.get("defer_loading", False),
            )
            for tool in functions
        ],
        native_tools=native,
        output_mode="native" if schema else "text",
        output_object=OutputObjectDefinition(schema) if schema else None,
    )


def _native(tool: dict[str, Any]) -> Any:
    options = {key: tool[key] for key in ("max_uses", "allowed_domains", "blocked_domains") if key in tool}
    match tool["name"]:
        case "web_search":
            location: Any = {key: value for key, value in tool.get("user_location", {}).items() if key != "type"}
            return WebSearchTool(**options, user_location=location or None)
        case "web_fetch":
            citations = tool.get("citations", {}).get("enabled", False)
            limit = tool.get("max_content_tokens")
            return WebFetchTool(**options, enable_citations=citations, max_content_tokens=limit)
        case "code_execution":
            return CodeExecutionTool()
        case "memory":
            return MemoryTool()
        case "tool_search_tool_bm25":
            return ToolSearchTool()
        case name:
            raise NotImplementedError(name)


def _answer_part(block: dict[str, Any]) -> Any:
    match block["type"]:
        case "text":
            return TextPart(block["text"])
        case "thinking":
            return ThinkingPart(block["thinking"], signature=block["signature"], provider_name="anthropic")
        case "redacted_thinking":
            return ThinkingPart("", id="redacted_thinking", signature=block["data"], provider_name="anthropic")
        case "tool_use":
            return ToolCallPart(block["name"], block["input"], block["id"])
        case "server_tool_use" | "mcp_tool_use":
            return NativeToolCallPart(block["name"], block["input"], block["id"])
        case _:
            return NativeToolReturnPart(block["type"], block["content"], block["tool_use_id"])


def _add_user(messages: list[ModelMessage], blocks: list[dict[str, Any]]) -> None:
    content: list[UserContent] = []
    for block in blocks:
        if block["type"] == "tool_result":
            name = tool_names(messages)[block["tool_use_id"]]
            add_request(messages, _result(block, name))
            continue
        content.append(_content(block))
        if "cache_control" in block:
            content.append(CachePoint(ttl=block["cache_control"].get("ttl", "5m")))
    if content:
        add_request(messages, UserPromptPart(content))


def _result(block: dict[str, Any], name: str) -> ToolReturnPart | RetryPromptPart:
    content = block["content"]
    items = content if isinstance(content, str) else [_content(item) for item in content]
    value: Any = items[0] if isinstance(items, list) and len(items) == 1 else items
    outcome = "failed" if block.get("is_error") else "success"
    return ToolReturnPart(name, value, block["tool_use_id"], outcome=outcome)


def _content(block: dict[str, Any]) -> Any:
    if block["type"] == "text":
        return block["text"]
    source = block["source"]
    metadata = {key: block[key] for key in ("title", "context", "citations") if key in block} or None
    match source["type"]:
        case "url":
            kind = ImageUrl if block["type"] == "image" else DocumentUrl
            return kind(source["url"], vendor_metadata=metadata)
        case "base64":
            data = base64.b64decode(source["data"])
            return BinaryContent(data, media_type=source["media_type"], vendor_metadata=metadata)
        case "text":
            return BinaryContent(source["data"].encode(), media_type="text/plain", vendor_metadata=metadata)
        case _:
            media_type = "image/png" if block["type"] == "image" else "application/pdf"
            return UploadedFile(source["file_id"], "anthropic", media_type=media_type)


def answered(response: dict[str, Any]) -> Answered:
    """A recorded answer."""
    if "body_json" in response:
        return _summary(response["body_json"], response["body_json"]["content"])
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in events(response["body_text"]):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                blocks[event["index"]] = {**event["content_block"], "json": ""}
            case "content_block_delta":
                block, delta = blocks[event["index"]], event["delta"]
                block["text"] = block.get("text", "") + delta.get("text", "")
                block["thinking"] = block.get("thinking", "") + delta.get("thinking", "")
                block["json"] += delta.get("partial_json", "")
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return _summary(message, [blocks[index] for index in sorted(blocks)])


def _summary(message: dict[str, Any], blocks: list[dict[str, Any]]) -> Answered:
    usage = message["usage"]
    cached = (usage.get("cache_creation_input_tokens") or 0) + (usage.get("cache_read_input_tokens") or 0)
    calls = [block for block in blocks if block["type"] == "tool_use"]
    return Answered(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thinking="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=[(call["name"], json.loads(call["json"]) if call.get("json") else call["input"]) for call in calls],
        native_calls=sum(block["type"] in ("server_tool_use", "mcp_tool_use") for block in blocks),
        input_tokens=usage["input_tokens"] + cached,
        output_tokens=usage["output_tokens"],
        finish_reason=FINISH_REASONS.get(message["stop_reason"]),
        id=message["id"],
    )
