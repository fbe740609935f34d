"""Messages of a run: a fold of its step envelopes, one function, valid in every state a run can be in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.history import close_open_calls
from app.ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    ToolReturnPart,
)
from app.db import records
from app.durable.envelopes import Envelope, read_response
from app.durable.inputs import HistoryLink

_request: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)


async def load(engine: AsyncEngine, links: Sequence[HistoryLink]) -> list[ModelMessage]:
    """The messages of earlier runs, in order, every tool call answered so that the conversation can go on."""
    messages: list[ModelMessage] = []
    for link in links:
        run = await records.read(engine, link.run_id, through_step=link.through_step)
        messages += close_open_calls(fold(run.envelopes, run.output))
    return messages


def fold(envelopes: Iterable[Envelope], output: Mapping[str, Any] | None) -> list[ModelMessage]:
    """The messages that the steps of one run make, in order.

    `output` is the run's recorded outcome, whose closing request answers the calls that ended a successful run. The
    results of tools that no request carries yet (the run stopped in between) make a last request of their own. The
    last message that was sent to the run is the request that the next step shows once more, as it was prepared.
    """
    messages: list[ModelMessage] = []
    answers: list[ModelRequestPart] = []
    shown_again = False
    for envelope in envelopes:
        match envelope.get("kind"):
            case "model" | "decision" | "messages" as kind:
                if request := envelope.get("request", {}).get("message"):
                    answers = []
                    if shown_again:
                        messages.pop()
                    messages.append(_request.validate_python(request))
                    shown_again = False
                if followed := _followed(envelope):
                    messages += followed
                    shown_again = kind == "messages"
            case "tool" | "mcp":
                answers += _answer(envelope)
            case _:
                pass
    if output is not None and output.get("closing_request"):
        messages.append(_request.validate_python(output["closing_request"]))
    elif answers and messages and isinstance(messages[-1], ModelResponse):
        messages.append(ModelRequest(parts=answers))
    return messages


def _followed(envelope: Envelope) -> list[ModelMessage]:
    """What a step adds behind its request: the model's response, or what was sent to the run."""
    match envelope["kind"]:
        case "model" if envelope["outcome"] == "returned":
            return [read_response(envelope["response"])]
        case "messages":
            return [_request.validate_python(taken["message"]) for taken in envelope["result"]]
        case _:
            return []


def _answer(envelope: Envelope) -> list[ModelRequestPart]:
    name, call_id = envelope["tool"], envelope["tool_call_id"]
    match envelope["outcome"]:
        case "returned":
            value = envelope["return"]["return_value"] if "return" in envelope else envelope["result"]
            return [ToolReturnPart(tool_name=name, content=value, tool_call_id=call_id)]
        case "retry":
            return [RetryPromptPart(content=envelope["result"], tool_name=name, tool_call_id=call_id)]
        case "failed":
            message = envelope["error"]["message"]
            return [ToolReturnPart(tool_name=name, content=message, tool_call_id=call_id, outcome="failed")]
        case _:
            return []
