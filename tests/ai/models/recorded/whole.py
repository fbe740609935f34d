"""The whole answer that a recorded stream stands for, put together without our client."""

from __future__ import annotations

import json
from typing import Any

from tests.ai.models.recorded.traffic import events


def whole_answer(api: str, body_text: str) -> Any:
    """What the provider would have answered if it had not been asked for a stream."""
    pieces = list(events(body_text))
    match api:
        case "anthropic-messages":
            return _message(pieces)
        case "openai-chat":
            return _completion(pieces)
        case "openai-responses":
            return _response(pieces)
        case _:
            return pieces


_LAST = ("response.completed", "response.incomplete")


def _response(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    whole = next(piece["response"] for piece in pieces if piece["type"] in _LAST)
    done = {piece["output_index"]: piece["item"] for piece in pieces if piece["type"] == "response.output_item.done"}
    for index, item in enumerate(whole["output"]):
        # The provider encrypts a thought anew each time that it tells it.
        if item.get("encrypted_content") and index in done:
            item["encrypted_content"] = done[index]["encrypted_content"]
    return whole


def _message(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for piece in pieces:
        match piece["type"]:
            case "message_start":
                message = piece["message"]
            case "content_block_start":
                blocks[piece["index"]] = piece["content_block"]
            case "content_block_delta":
                _grow(blocks[piece["index"]], piece["delta"])
            case "message_delta":
                message |= {key: value for key, value in piece["delta"].items() if value is not None}
                message["usage"] |= {key: value for key, value in piece["usage"].items() if value is not None}
                if "context_management" in piece:
                    message["context_management"] = piece["context_management"]
    for block in blocks.values():
        if text := block.pop("partial_json", ""):
            block["input"] = json.loads(text)
    return {**message, "content": [blocks[index] for index in sorted(blocks)]}


def _grow(block: dict[str, Any], delta: dict[str, Any]) -> None:
    match delta["type"]:
        case "input_json_delta":
            block["partial_json"] = block.get("partial_json", "") + delta["partial_json"]
        case "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta["citation"]]
        case kind:
            field = kind.removesuffix("_delta")
            block[field] = (block.get(field) or "") + delta[field]


def _completion(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    message: dict[str, Any] = {"role": "assistant"}
    calls: dict[Any, dict[str, Any]] = {}
    finish: str | None = None
    for piece in pieces:
        whole = {**piece, **{key: value for key, value in whole.items() if value is not None}}
        for late in ("usage", "citations", "search_results", "x_groq", "service_tier"):
            if piece.get(late):
                whole[late] = piece[late]
        for choice in piece.get("choices") or []:
            finish = choice.get("finish_reason") or finish
            _add_delta(message, calls, choice.get("delta") or {})
    if calls:
        message["tool_calls"] = list(calls.values())
    return {**whole, "choices": [{"index": 0, "message": message, "finish_reason": finish}]}


def _add_delta(message: dict[str, Any], calls: dict[Any, dict[str, Any]], delta: dict[str, Any]) -> None:
    for field in ("content", "reasoning", "reasoning_content", "refusal", "annotations", "reasoning_details"):
        value: Any = delta.get(field)
        before: Any = message.get(field)
        if value and isinstance(value, list) and isinstance(before, str):
            before = [{"type": "text", "text": before}]
        if value and isinstance(value, str) and isinstance(before, list):
            value = [{"type": "text", "text": value}]
        if value:
            grown: Any = before + value if before else value  # pyright: ignore[reportOperatorIssue]
            message[field] = grown
    for call in delta.get("tool_calls") or []:
        known = calls.setdefault(call["index"], {"id": call.get("id"), "function": {"name": "", "arguments": ""}})
        known["function"]["name"] = known["function"]["name"] or call["function"].get("name")
        known["function"]["arguments"] += call["function"].get("arguments") or ""
    if delta.get("executed_tools"):
        message["executed_tools"] = delta["executed_tools"]
