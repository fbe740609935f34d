"""Recorded exchanges of the Gemini API."""

from __future__ import annotations

import base64
import re
from typing import Any

from app.ai.messages import (
    BinaryContent,
    ModelMessage,
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
from app.ai.native_tools import CodeExecutionTool, WebFetchTool, WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.tools import ToolDefinition
from tests.ai.models.recorded.traffic import Answered, Asked, add_request, events, turn

HELLO = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
}
_SETTINGS = {
    "maxOutputTokens": "max_tokens",
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "stopSequences": "stop_sequences",
    "seed": "seed",
    "thinkingConfig": "google_thinking_config",
    "responseLogprobs": "google_logprobs",
    "logprobs": "google_top_logprobs",
}

EXPLAINED = {
    "-$.generationConfig.responseModalities": "text is the default",
    "-$.generationConfig.thinkingConfig.thinking_budget": "names go in camel case",
    "+$.generationConfig.thinkingConfig.thinkingBudget": "names go in camel case",
    "-$.systemInstruction.role": "the role of a system instruction means nothing",
    "-$.tools[].functionDeclarations[].parameters": "schemas go as JSON schema,",
    "-$.tools[].functionDeclarations[].parameters_json_schema": "under the name in camel case",
    "+$.tools[].functionDeclarations[].parametersJsonSchema": "that both allow references",
    "-$.tools[].google_search": "names go in camel case",
    "+$.tools[].googleSearch": "names go in camel case",
    "+$.contents[].parts[].functionResponse.response.return_value": "what is no object stands under `return_value`",
    "-$.contents[].parts[].functionResponse.response.name": "the name stands beside the response",
    "-$.contents[].parts[].functionResponse.response.content": "see return_value",
    "-$.contents[].parts[].functionCall.id": "an id that the provider did not give is not sent",
    "-$.contents[].parts[].functionResponse.id": "an id that the provider did not give is not sent",
    "-$.contents[].parts[].thoughtSignature": "a signature goes back with its own part only",
    "~$.contents[].parts[].thoughtSignature": "standard base64, as it came, instead of the url-safe alphabet",
}


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A body in which lists stand item beside item."""
    return body


def understood(body: dict[str, Any], answers: list[ModelResponse]) -> Asked:
    """A recorded request in our terms."""
    messages: list[ModelMessage] = []
    for part in body.get("systemInstruction", {}).get("parts", []):
        add_request(messages, SystemPromptPart(part["text"]))
    ids: dict[str, str] = {}
    for content in body["contents"]:
        parts = [_camel(part) for part in content["parts"]]
        if content["role"] == "model":
            answer = turn([_answer_part(part) for part in parts], answers, "google-gla")
            ids |= {call.tool_name: call.tool_call_id for call in answer.tool_calls}
            messages.append(answer)
        else:
            _add_user(messages, parts, ids)
    config = body.get("generationConfig", {})
    settings = {ours: config[theirs] for theirs, ours in _SETTINGS.items() if theirs in config}
    if "safetySettings" in body:
        settings["google_safety_settings"] = body["safetySettings"]
    if "labels" in body:
        settings["google_labels"] = body["labels"]
    if "modelArmorConfig" in body:
        settings["extra_body"] = {"modelArmorConfig": body["modelArmorConfig"]}
    if body.get("toolConfig", {}).get("functionCallingConfig", {}).get("mode") == "ANY":
        settings["tool_choice"] = "required"
    return Asked(messages, settings, _parameters(body))


def _camel(value: Any) -> Any:
    """Google takes names in both cases; the recordings hold both."""
    return {re.sub(r"_(\w)", lambda found: found[1].upper(), key): item for key, item in value.items()}


def _parameters(body: dict[str, Any]) -> ModelRequestParameters:
    functions: list[ToolDefinition] = []
    native: list[Any] = []
    kinds = {"googleSearch": WebSearchTool, "urlContext": WebFetchTool, "codeExecution": CodeExecutionTool}
    for tool in map(_camel, body.get("tools", [])):
        native += [kind() for name, kind in kinds.items() if name in tool]
        for declared in map(_camel, tool.get("functionDeclarations", [])):
            schema = declared.get("parametersJsonSchema") or {"type": "object", "properties": {}}
            functions.append(
                ToolDefinition(
                    name=declared["name"], description=declared["description"], parameters_json_schema=schema
                )
            )
    schema = body.get("generationConfig", {}).get("responseJsonSchema")
    return ModelRequestParameters(
        function_tools=functions,
        native_tools=native,
        output_mode="native" if schema else "text",
        output_object=OutputObjectDefinition(schema, name=schema.get("title")) if schema else None,
    )


def _answer_part(part: dict[str, Any]) -> Any:
    if "functionCall" in part:
        call = part["functionCall"]
        return ToolCallPart(call["name"], call["args"], call.get("id") or "pyd_ai_unknown")
    return ThinkingPart(part["text"]) if part.get("thought") else TextPart(part["text"])


def _add_user(messages: list[ModelMessage], parts: list[dict[str, Any]], ids: dict[str, str]) -> None:
    content: list[Any] = []
    for part in parts:
        if "functionResponse" in part:
            response = part["functionResponse"]
            result: Any = response["response"]
            if "content" in result:
                result = result["content"][0]["text"]
            result = result.get("return_value", result) if isinstance(result, dict) else result
            add_request(messages, ToolReturnPart(response["name"], result, ids[response["name"]]))
        elif "text" in part:
            content.append(part["text"])
        elif "inlineData" in part:
            inline = _camel(part["inlineData"])
            content.append(BinaryContent(base64.b64decode(inline["data"]), media_type=inline["mimeType"]))
        elif "fileData" in part:
            file = _camel(part["fileData"])
            content.append(UploadedFile(file["fileUri"], "google-gla", media_type=file["mimeType"]))
    if content:
        add_request(messages, UserPromptPart(content))


def answered(response: dict[str, Any]) -> Answered:
    """A recorded answer."""
    pieces = [response["body_json"]] if "body_json" in response else list(events(response["body_text"]))
    read = Answered()
    usage: dict[str, Any] = {}
    for piece in pieces:
        usage |= piece["usageMetadata"]
        [candidate] = piece["candidates"]
        for part in candidate.get("content", {}).get("parts", []):
            if part.get("thought"):
                read.thinking += part["text"]
            else:
                read.text += part.get("text", "")
            if call := part.get("functionCall"):
                read.calls.append((call["name"], call["args"]))
        read.native_calls += bool(candidate.get("groundingMetadata", {}).get("webSearchQueries"))
        read.native_calls += bool(candidate.get("urlContextMetadata"))
        read.finish_reason = FINISH_REASONS.get(candidate.get("finishReason")) or read.finish_reason
        read.id = piece["responseId"]
    read.input_tokens = usage["promptTokenCount"] + usage.get("toolUsePromptTokenCount", 0)
    read.output_tokens = usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0)
    return read
