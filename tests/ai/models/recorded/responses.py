"""Recorded exchanges of the Responses API."""

from __future__ import annotations

import base64
import json
from typing import Any

from app.ai.messages import (
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.native_tools import (
    CodeExecutionTool,
    FileSearchTool,
    ImageGenerationTool,
    MCPServerTool,
    ToolSearchTool,
    WebSearchTool,
)
from app.ai.output_modes import OutputObjectDefinition
from app.ai.tools import ToolDefinition
from tests.ai.models.recorded.traffic import Answered, Asked, add_request, events, tool_names, turn

HELLO = {"model": "m", "input": [{"role": "user", "content": "Hello"}]}

_SETTINGS = {
    "max_output_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_logprobs": "openai_top_logprobs",
    "truncation": "openai_truncation",
    "store": "openai_store",
    "user": "openai_user",
    "service_tier": "service_tier",
    "parallel_tool_calls": "parallel_tool_calls",
    "previous_response_id": "openai_previous_response_id",
    "prompt_cache_key": "openai_prompt_cache_key",
    "include": "openai_include",
}
_FINISH_REASONS = {"completed": "stop", "max_output_tokens": "length", "content_filter": "content_filter"}

EXPLAINED = {
    "-$.stream": "false is the default",
    "-$.instructions": "empty instructions are left out",
    "-$.previous_response_id": "null is the default",
    "-$.text": "plain text is the default",
    "-$.text.format": "plain text is the default",
    "+$.include": "reasoning is asked for in a form that goes back",
    "+$.tool_choice": "auto, the default, is spelled out",
    "~$.tools[].strict": "schemas that can be enforced are",
    "-$.tools[].parameters.strict": "no key of a schema",
    "+$.input[].id": "items go back with their ids",
    "+$.input[].status": "items of native tools go back as they came",
    "~$.input[].outputs": "items of native tools go back as they came",
    "-$.input[].encrypted_content": "null is the default",
    "+$.input[].type": "a text that the provider gave goes back as its item",
    "+$.input[].content[].annotations": "a text that the provider gave goes back as its item",
    "~$.input[].content[].text": "the recorded request has other quotes than the recorded answer",
    "+$.input[].arguments.paths": "items of native tools go back as they came",
    "-$.input[].arguments.queries": "items of native tools go back as they came",
    "~$.input[].call_id": "items of native tools go back as they came",
}


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A body in which lists stand item beside item.

    We send no empty texts, and the results of native tools together with their calls.
    """
    unpaired = ({"content": "", "role": "assistant"},)
    items = [item for item in body["input"] if item not in unpaired and item.get("type") != "tool_search_output"]
    return {**body, "input": items}


def understood(body: dict[str, Any], answers: list[ModelResponse]) -> Asked:
    """A recorded request in our terms."""
    messages: list[ModelMessage] = []
    said: list[Any] = []
    for item in body["input"]:
        if item.get("role") in ("user", "system", "developer") or item.get("type") == "function_call_output":
            _end_turn(messages, said, answers)
            _add_user(messages, item)
        else:
            said += _answer_parts(item)
    _end_turn(messages, said, answers)
    if body.get("instructions"):
        next(message for message in reversed(messages) if isinstance(message, ModelRequest)).instructions = body[
            "instructions"
        ]
    settings = {ours: body[theirs] for theirs, ours in _SETTINGS.items() if body.get(theirs) is not None}
    for name, ours in (("effort", "openai_reasoning_effort"), ("summary", "openai_reasoning_summary")):
        if value := body.get("reasoning", {}).get(name):
            settings[ours] = value
    if verbosity := body.get("text", {}).get("verbosity"):
        settings["openai_text_verbosity"] = verbosity
    if body.get("tool_choice") == "required":
        settings["tool_choice"] = "required"
    return Asked(messages, settings, _parameters(body))


def _end_turn(messages: list[ModelMessage], said: list[Any], answers: list[ModelResponse]) -> None:
    if said:
        messages.append(turn([*said], answers, "openai"))
        said.clear()


def _add_user(messages: list[ModelMessage], item: dict[str, Any]) -> None:
    if item.get("type") == "function_call_output":
        name = tool_names(messages).get(item["call_id"], "unknown")
        add_request(messages, ToolReturnPart(name, item["output"], item["call_id"]))
    elif item["role"] != "user":
        add_request(messages, SystemPromptPart(item["content"]))
    else:
        content = item["content"]
        add_request(
            messages, UserPromptPart(content if isinstance(content, str) else [_content(piece) for piece in content])
        )


def _content(piece: dict[str, Any]) -> Any:
    if piece["type"] == "input_text":
        return piece["text"]
    if "file_id" in piece:
        media_type = "image/png" if piece["type"] == "input_image" else "application/pdf"
        return UploadedFile(piece["file_id"], "openai", media_type=media_type)
    url = piece.get("image_url") or piece.get("file_url") or piece["file_data"]
    if url.startswith("data:"):
        media_type, _, data = url.removeprefix("data:").partition(";base64,")
        return BinaryContent(base64.b64decode(data), media_type=media_type)
    return ImageUrl(url) if "image_url" in piece else DocumentUrl(url)


def _answer_parts(item: dict[str, Any]) -> list[Any]:
    match item.get("type", "message"):
        case "message":
            content = item["content"]
            texts = [content] if isinstance(content, str) else [piece["text"] for piece in content]
            return [TextPart(text) for text in texts if text]
        case "function_call":
            return [ToolCallPart(item["name"], item["arguments"], item["call_id"])]
        case "reasoning":
            return [ThinkingPart("".join(piece["text"] for piece in item.get("summary") or []))]
        case _:
            return []


def _parameters(body: dict[str, Any]) -> ModelRequestParameters:
    functions = [tool for tool in body.get("tools", []) if tool["type"] == "function"]
    form = body.get("text", {}).get("format", {})
    schema = form.get("schema")
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool["name"],
                description=tool.get("description"),
                parameters_json_schema={key: value for key, value in tool["parameters"].items() if key != "strict"},
                strict=tool.get("strict"),
                defer_loading=tool.get("defer_loading", False),
            )
            for tool in functions
        ],
        native_tools=[_native(tool) for tool in body.get("tools", []) if tool["type"] != "function"],
        output_mode="native" if schema else "text",
        output_object=OutputObjectDefinition(schema, name=form["name"], strict=form.get("strict")) if schema else None,
    )


def _native(tool: dict[str, Any]) -> Any:
    match tool["type"]:
        case "web_search" | "web_search_preview":
            return WebSearchTool(search_context_size=tool.get("search_context_size", "medium"))
        case "code_interpreter":
            return CodeExecutionTool()
        case "file_search":
            return FileSearchTool(file_store_ids=tool["vector_store_ids"])
        case "image_generation":
            return ImageGenerationTool()
        case "mcp":
            return MCPServerTool(id=tool["server_label"], url=tool.get("server_url", ""))
        case "tool_search":
            return ToolSearchTool()
        case kind:
            raise NotImplementedError(kind)


def answered(response: dict[str, Any]) -> Answered:
    """A recorded answer."""
    if "body_json" in response:
        whole = response["body_json"]
    else:
        whole = next(event["response"] for event in events(response["body_text"]) if event["type"] in _LAST)
    read = Answered(
        input_tokens=whole["usage"]["input_tokens"],
        output_tokens=whole["usage"]["output_tokens"],
        finish_reason=_FINISH_REASONS.get((whole.get("incomplete_details") or {}).get("reason") or whole["status"]),
        id=whole["id"],
    )
    for item in whole["output"]:
        match item["type"]:
            case "message":
                read.text += "".join(piece.get("text", "") for piece in item["content"])
            case "reasoning":
                pieces = [*(item.get("summary") or []), *(item.get("content") or [])]
                read.thinking += "".join(piece["text"] for piece in pieces)
            case "function_call":
                read.calls.append((item["name"], json.loads(item["arguments"])))
            case _:
                read.native_calls += 1
    return read


_LAST = ("response.completed", "response.incomplete")
