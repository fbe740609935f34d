"""What a step's record says: its input with its outcome, as JSON that a person reads in `holdfast.steps`.

model     {kind, request: {message, settings}, response, cost_usd, outcome, attempt}
tool/mcp  {kind, toolset, tool, tool_call_id, args, result | return, outcome, attempt,
           sampled?: {requests, usage}, delegated?: {usage}}
sampling  {kind, tool, tool_call_id, request, response, outcome, attempt}
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter

from app.ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry
from app.ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    ToolReturn,
    ToolReturnContent,
)
from app.ai.steps import PreparedRequest
from app.ai.usage import RequestUsage, RunUsage
from app.durable.failures import ResultNotSerializable
from app.durable.serializer import to_json

if TYPE_CHECKING:
    from mcp_types import CreateMessageRequestParams

Envelope = dict[str, Any]

_request: TypeAdapter[ModelRequest] = TypeAdapter(ModelRequest)
_response: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)
_content: TypeAdapter[Any] = TypeAdapter(ToolReturnContent)
_usage: TypeAdapter[RequestUsage] = TypeAdapter(RequestUsage)
_run_usage: TypeAdapter[RunUsage] = TypeAdapter(RunUsage)
_tool_return: TypeAdapter[ToolReturn] = TypeAdapter(ToolReturn)


def request_json(request: PreparedRequest, before: Sequence[ModelMessage]) -> Envelope:
    """A request as its model step shows it. Of a changed history, the beginning that it shares with `before`, the
    messages of the run until then, is only counted: a long conversation would be recorded with each such request."""
    shown = {"message": _request.dump_python(request.message, mode="json"), "settings": to_json(request.model_settings)}
    if request.history is not None:
        pairs = zip(request.history, before, strict=False)
        kept = sum(1 for _ in takewhile(lambda pair: pair[0] is pair[1], pairs))
        shown["history_kept"] = kept
        shown["history"] = ModelMessagesTypeAdapter.dump_python(request.history[kept:], mode="json")
    return shown


def response_json(response: ModelResponse) -> Envelope:
    """A response as its model step shows it."""
    return _response.dump_python(response, mode="json")


def read_request(recorded: Envelope, before: Sequence[ModelMessage]) -> PreparedRequest:
    """The request of a recorded model step; its tool definitions were not needed again and are not recorded."""
    message = _request.validate_python(recorded["message"])
    history = None
    if "history" in recorded:
        changed = ModelMessagesTypeAdapter.validate_python(recorded["history"])
        # Older records hold the whole history.
        history = [*before[: recorded.get("history_kept", 0)], *changed]
    return PreparedRequest(
        message=message,
        model_settings=recorded["settings"],
        parameters=None,
        history=history,
    )


def read_response(recorded: Envelope) -> ModelResponse:
    """The response of a recorded model step."""
    return _response.validate_python(recorded)


def add_sampled(head: Envelope, params: CreateMessageRequestParams, response: ModelResponse) -> None:
    """Note in a call's record what its server asked a model while the call was open."""
    sampled = head.setdefault("sampled", {"requests": [], "usage": {}})
    sampled["requests"].append({"request": sampling_request_json(params), "response": response_json(response)})
    usage = sampled_usage(head) + response.usage
    sampled["usage"] = _usage.dump_python(usage, mode="json")


def sampled_usage(envelope: Envelope) -> RequestUsage:
    """What the model that a call's server asked has used."""
    return _usage.validate_python(envelope.get("sampled", {}).get("usage", {}))


def add_delegated(head: Envelope, before: RunUsage, after: RunUsage) -> None:
    """Note in a call's record what the agents that it ran have used, if it ran some."""
    if before == after:
        return
    counts = {name: value - getattr(before, name) for name, value in vars(after).items() if isinstance(value, int)}
    details = {name: value - before.details.get(name, 0) for name, value in after.details.items()}
    head["delegated"] = {"usage": {**counts, "details": details}}


def delegated_usage(envelope: Envelope) -> RunUsage:
    """What the agents that a call ran have used."""
    return _run_usage.validate_python(envelope.get("delegated", {}).get("usage", {}))


def sampling_request_json(params: CreateMessageRequestParams) -> Envelope:
    """What a server asks a model, as records show it."""
    return params.model_dump(mode="json", by_alias=True, exclude_none=True)


def read_sampling_request(recorded: Envelope) -> CreateMessageRequestParams:
    """What a server asked a model."""
    from mcp_types import CreateMessageRequestParams

    return CreateMessageRequestParams.model_validate(recorded)


def returned(value: Any) -> Envelope:
    """The outcome of a tool that returned. Raises ResultNotSerializable for what JSON cannot hold."""
    kind = type(value).__name__
    try:
        # The adapters would turn NaN into null without a word, so what they make is not all that is looked at.
        if isinstance(value, ToolReturn):
            rich = cast("ToolReturn[Any]", value)
            to_json(rich.return_value)
            return {"outcome": "returned", "return": to_json(_tool_return.dump_python(rich, mode="json"))}
        to_json(value)
        return {"outcome": "returned", "result": to_json(_content.dump_python(value, mode="json"))}
    except (TypeError, ValueError, RecursionError) as error:
        raise ResultNotSerializable(kind, str(error)) from error


def control_flow(signal: ModelRetry | CallDeferred | ApprovalRequired) -> Envelope:
    """The outcome of a tool that asked for a retry, a result from outside or a person."""
    if isinstance(signal, ModelRetry):
        return {"outcome": "retry", "result": signal.message}
    waits_for = "approval" if isinstance(signal, ApprovalRequired) else "external"
    return {"outcome": "deferred", "waits_for": waits_for, "result": to_json(signal.metadata)}


def read_result(envelope: Envelope) -> Any:
    """What a tool step gives to the loop: its value, or the control flow it raised, raised again."""
    match envelope["outcome"]:
        case "retry":
            raise ModelRetry(envelope["result"])
        case "deferred":
            signal = ApprovalRequired if envelope["waits_for"] == "approval" else CallDeferred
            raise signal(metadata=envelope["result"])
        case _ if "return" in envelope:
            return _tool_return.validate_python(envelope["return"])
        case _:
            return _content.validate_python(envelope["result"])
