"""Recorded exchanges of the Chat Completions API and the servers that speak it."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from app.ai.messages import (
    AudioUrl,
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from app.ai.models import ModelRequestParameters
from app.ai.native_tools import WebSearchTool
from app.ai.output_modes import OutputObjectDefinition
from app.ai.tools import ToolDefinition
from tests.ai.models.recorded.traffic import Answered, Asked, add_request, events, tool_names, turn

HELLO = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}

_SETTINGS = {
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "stop": "stop_sequences",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "parallel_tool_calls": "parallel_tool_calls",
    "reasoning_effort": "openai_reasoning_effort",
    "user": "openai_user",
}
_KNOWN = {"model", "messages", "stream", "stream_options", "n", "tools", "tool_choice", "response_format"}
_FINISH_REASONS = {"stop": "stop", "length": "length", "tool_calls": "tool_call", "content_filter": "content_filter"}

EXPLAINED = {
    "-$.n": "one answer is the default",
    "-$.stream": "false is the default",
    "+$.stream_options": "the usage is asked for",
    "+$.tool_choice": "auto, the default, is spelled out",
    "+$.tools[].function.strict": "schemas that can be enforced are",
    "-$.tools[].function.strict": "the server does not enforce schemas",
    "-$.tools[].function.parameters.strict": "no key of a schema",
    "+$.messages[].content": "null stands where there is no text",
    "~$.messages[].content": "no text with a call is null, a single text goes as it is, a thought is no text",
    "-$.messages[].name": "null is the default",
    "-$.messages[].tool_calls": "null is the default",
    "-$.messages[].reasoning_content": "a thought goes back under the name it came by, once",
    "+$.messages[].reasoning": "a thought goes back to the server that had it",
    "-$.max_completion_tokens": "other servers know the older name of the limit",
    "+$.max_tokens": "other servers know the older name of the limit",
    "~$.messages[].content[].file.filename": "files are named by their content",
    "~$.messages[].tool_calls[].function.arguments": "the model's own spacing is kept",
    "~$.messages[].role": "o1-mini takes system prompts only as the user's",
    "-$.tools": "null is the default",
}


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """A body in which lists stand item beside item."""
    return body


def understood(body: dict[str, Any], answers: list[ModelResponse]) -> Asked:
    """A recorded request in our terms. What our settings do not name goes as `extra_body`."""
    messages: list[ModelMessage] = []
    for message in body["messages"]:
        match message["role"]:
            case "system" | "developer":
                add_request(messages, SystemPromptPart(_text(message["content"])))
            case "user":
                content = message["content"]
                items = content if isinstance(content, str) else [_content(item) for item in content]
                add_request(messages, UserPromptPart(items))
            case "assistant":
                messages.append(turn(_answer_parts(message), answers, "unknown"))
            case _:
                call_id = message["tool_call_id"]
                name = tool_names(messages).get(call_id, "unknown")
                add_request(messages, ToolReturnPart(name, _text(message["content"]), call_id))
    settings = {ours: body[theirs] for theirs, ours in _SETTINGS.items() if theirs in body}
    if isinstance(settings.get("stop_sequences"), str):
        settings["stop_sequences"] = [settings["stop_sequences"]]
    web_search = body.get("web_search_options", {}).get("search_context_size")
    known = _KNOWN | _SETTINGS.keys() | ({"web_search_options"} if web_search else set())
    if extra := {key: value for key, value in body.items() if key not in known}:
        settings["extra_body"] = extra
    if any(tool["type"] != "function" for tool in body.get("tools") or []):
        settings["extra_body"] = {**extra, "tools": body["tools"]}
    if body.get("tool_choice") in ("required", "none"):
        settings["tool_choice"] = body["tool_choice"]
    return Asked(messages, settings, _parameters(body, web_search))


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(item["text"] for item in content or [])


def _content(item: dict[str, Any]) -> Any:
    match item["type"]:
        case "text":
            return item["text"]
        case "image_url":
            return _binary(item["image_url"]["url"]) or ImageUrl(item["image_url"]["url"])
        case "file":
            return _binary(item["file"]["file_data"])
        case "input_audio":
            audio = item["input_audio"]
            return BinaryContent(
                base64.b64decode(audio["data"]), media_type=AudioUrl(f"a.{audio['format']}").media_type
            )
        case kind:
            raise NotImplementedError(kind)


def _binary(url: str) -> BinaryContent | None:
    if not url.startswith("data:"):
        return None
    media_type, _, data = url.removeprefix("data:").partition(";base64,")
    return BinaryContent(base64.b64decode(data), media_type=media_type)


def _answer_parts(message: dict[str, Any]) -> list[Any]:
    text = _without_thinking(_text(message.get("content")))
    calls = [
        ToolCallPart(call["function"]["name"], call["function"]["arguments"], call["id"])
        for call in message.get("tool_calls") or []
    ]
    return [*([TextPart(text)] if text else []), *calls]


def _without_thinking(text: str) -> str:
    return re.sub(r"^\s*<think>.*?</think>\s*", "", text, flags=re.DOTALL)


def _parameters(body: dict[str, Any], web_search: Any) -> ModelRequestParameters:
    form = body.get("response_format") or {}
    schema: dict[str, Any] = form.get("json_schema") or {}
    is_object = form.get("type") == "json_object"
    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool["function"]["name"],
                description=tool["function"].get("description"),
                parameters_json_schema={
                    key: value for key, value in tool["function"]["parameters"].items() if key != "strict"
                },
                strict=tool["function"].get("strict"),
            )
            for tool in body.get("tools") or []
            if tool["type"] == "function"
        ],
        native_tools=[WebSearchTool(search_context_size=web_search)] if web_search else [],
        output_mode="native" if schema else "prompted" if is_object else "text",
        output_object=OutputObjectDefinition(
            schema["schema"], name=schema["name"], description=schema.get("description"), strict=schema.get("strict")
        )
        if schema
        else None,
    )


def answered(response: dict[str, Any]) -> Answered:
    """A recorded answer."""
    if "body_json" in response:
        whole = response["body_json"]
        [choice] = whole["choices"]
        return _summary([whole], [choice["message"]], choice["finish_reason"])
    pieces = list(events(response["body_text"]))
    choices = [choice for piece in pieces for choice in piece.get("choices") or []]
    finish = next(choice["finish_reason"] for choice in choices if choice.get("finish_reason"))
    return _summary(pieces, [choice.get("delta") or {} for choice in choices], finish)


def _summary(heads: list[dict[str, Any]], messages: list[dict[str, Any]], finish_reason: str) -> Answered:
    read = Answered(finish_reason=_FINISH_REASONS[finish_reason], id=heads[0]["id"])
    for head in heads:
        usage = head.get("usage") or (head.get("x_groq") or {}).get("usage")
        if usage:
            read.input_tokens, read.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
    calls: dict[Any, list[str]] = {}
    for message in messages:
        read.thinking += message.get("reasoning_content") or message.get("reasoning") or ""
        content = message.get("content") or ""
        items: list[Any] = [{"type": "text", "text": content}] if isinstance(content, str) else content
        for item in items:
            if item["type"] == "thinking":
                read.thinking += "".join(thought["text"] for thought in item["thinking"])
            else:
                read.text += item["text"]
        for number, call in enumerate(message.get("tool_calls") or []):
            pieces = calls.setdefault(call.get("index", number), ["", ""])
            pieces[0] = pieces[0] or call["function"].get("name") or ""
            pieces[1] += call["function"].get("arguments") or ""
        read.native_calls += len(message.get("executed_tools") or [])
    if thought := re.match(r"<think>(.*?)</think>", read.text, flags=re.DOTALL):
        read.thinking, read.text = thought[1], read.text[thought.end() :]
    read.calls = [(name, json.loads(arguments or "{}")) for name, arguments in calls.values()]
    return read
