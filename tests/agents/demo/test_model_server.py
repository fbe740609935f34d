"""The demo model over real HTTP."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from app.agents.demo.model_server import DELTA_VARIABLE, base_url

TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DELTA_VARIABLE, "0")


def ask(prompt: str, **options: Any) -> httpx.Response:
    request = {"model": "demo", "messages": [{"role": "user", "content": prompt}], "tools": [TOOL], **options}
    return httpx.post(f"{base_url()}/chat/completions", json=request)


def streamed(prompt: str) -> list[dict[str, Any]]:
    response = ask(prompt, stream=True)
    assert response.headers["content-type"] == "text/event-stream"
    events = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


def test_one_server_serves_the_whole_process() -> None:
    assert base_url() == base_url()


def test_a_text_answer() -> None:
    completion = ask("count to 3").json()
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "1 2 3"}
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"]["completion_tokens"] == 3


def test_tool_calls() -> None:
    (choice,) = ask("add 1 and 2, and 3 + 4").json()["choices"]
    assert choice["finish_reason"] == "tool_calls"
    arguments = [json.loads(call["function"]["arguments"]) for call in choice["message"]["tool_calls"]]
    assert arguments == [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]


def test_a_streamed_answer_is_the_same_text_in_several_pieces() -> None:
    chunks = streamed("count to 5")
    pieces = [choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"]]
    assert "".join(filter(None, pieces)) == "1 2 3 4 5"
    assert len(pieces) == 7
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["completion_tokens"] == 5


def test_streamed_tool_calls_assemble_to_the_unstreamed_ones() -> None:
    calls: dict[int, dict[str, Any]] = {}
    for chunk in streamed("add 1 and 2, and 3 + 4"):
        for choice in chunk["choices"]:
            for delta in choice["delta"].get("tool_calls", ()):
                call = calls.setdefault(delta["index"], {"arguments": ""})
                call.update({key: delta[key] for key in ("id",) if key in delta})
                call["arguments"] += delta["function"]["arguments"]
    plain = ask("add 1 and 2, and 3 + 4").json()["choices"][0]["message"]["tool_calls"]
    assert [call["arguments"] for call in calls.values()] == [call["function"]["arguments"] for call in plain]
    assert [call["id"] for call in calls.values()] == [call["id"] for call in plain]


def test_the_same_messages_get_the_same_answer() -> None:
    first, second = ask("look up nothing").json(), ask("look up nothing").json()
    assert first["id"] == second["id"]
    assert first["choices"] == second["choices"]


def test_what_is_no_chat_completion_is_refused() -> None:
    assert httpx.post(f"{base_url()}/chat/completions", content=b"rubbish").status_code == 400
    assert httpx.post(f"{base_url()}/chat/completions", json={}).status_code == 400
    assert httpx.get(f"{base_url()}/models").status_code == 404
