"""The recordings, and what a recorded exchange is to a test."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from app.ai.models import ModelRequestParameters

TRAFFIC = Path(os.environ.get("HOLDFAST_PROVIDER_TRAFFIC", Path(__file__).parents[5] / "shared" / "provider-traffic"))
AVAILABLE = (TRAFFIC / "replay_server.py").exists()
UNAVAILABLE = f"no recorded provider traffic at {TRAFFIC} (set HOLDFAST_PROVIDER_TRAFFIC)"


@cache
def replay_server() -> Any:
    """The replay server's module, which lives beside the recordings."""
    spec = importlib.util.spec_from_file_location("replay_server", TRAFFIC / "replay_server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["replay_server"] = module  # its dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def index() -> list[dict[str, Any]]:
    """Name, API and features of every scenario."""
    return json.loads((TRAFFIC / "index.json").read_text())["scenarios"] if AVAILABLE else []


def load(name: str) -> dict[str, Any]:
    return json.loads((TRAFFIC / f"{name}.json").read_text())


@dataclass
class Asked:
    """A recorded request in our terms."""

    messages: list[ModelMessage]
    settings: dict[str, Any] = field(default_factory=dict)
    parameters: ModelRequestParameters = field(default_factory=ModelRequestParameters)


@dataclass
class Answered:
    """What is in an answer, whoever read it. Thinking may be encrypted, so only what can be read counts."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    native_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    finish_reason: str | None = None
    id: str | None = None


def as_answered(response: ModelResponse) -> Answered:
    """What our client read."""
    return Answered(
        text="".join(part.content for part in response.parts if isinstance(part, TextPart)),
        thinking="".join(part.content for part in response.parts if isinstance(part, ThinkingPart)),
        calls=[(call.tool_name, call.args_as_dict()) for call in response.tool_calls],
        native_calls=sum(isinstance(part, NativeToolCallPart) for part in response.parts),
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        finish_reason=response.finish_reason,
        id=response.provider_response_id,
    )


def differences(recorded: Any, sent: Any) -> list[str]:
    """Where a request of ours differs from the recorded one."""
    return replay_server().diff_json(recorded, sent, limit=1000)


def events(body_text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a recorded stream."""
    for line in body_text.splitlines():
        if line.startswith("data:") and (data := line[5:].strip()) and data != "[DONE]":
            yield json.loads(data)


def turn(parts: list[ModelResponsePart], answers: list[ModelResponse], provider_name: str) -> ModelResponse:
    """The assistant's turn of a recorded request: our own answer if it was one, so that it goes back as we read it.

    Answers come up in their order, so the one that is found and those before it are taken off the list.
    """
    said = ModelResponse(parts, provider_name=provider_name)
    sought = as_answered(said)
    for index, answer in enumerate(answers):
        given = as_answered(answer)
        if (_letters(given.text), given.calls) == (_letters(sought.text), sought.calls) and (given.text or given.calls):
            del answers[: index + 1]
            return answer
    return said


def _letters(text: str) -> str:
    """Text without punctuation: some recordings have other quotes and dashes in a request than in the answer."""
    return re.sub(r"\W+", "", text)


def tool_names(messages: list[ModelMessage]) -> dict[str, str]:
    """Names of called tools by call id."""
    responses = (message for message in messages if isinstance(message, ModelResponse))
    return {
        part.tool_call_id: part.tool_name
        for response in responses
        for part in response.parts
        if isinstance(part, ToolCallPart)
    }


def add_request(messages: list[ModelMessage], *parts: ModelRequestPart) -> None:
    """Add parts to the newest request, or begin one after a response."""
    if messages and isinstance(newest := messages[-1], ModelRequest):
        newest.parts = [*newest.parts, *parts]
    else:
        messages.append(ModelRequest(list(parts)))
