"""`holdfast approvals` and `holdfast runs approve|deny|answer|resume`: what runs wait for, and answering it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from app.cli.options import DEFAULT_URL, AsJson, RunId, Url, service_at, with_output
from app.cli.render import answer, table

_COLUMNS = ("run_id", "tool_call_id", "kind", "tool", "args", "status", "requested_at", "decided_by")

ToolCallId = Annotated[str, typer.Argument(metavar="TOOL_CALL_ID", help="As `holdfast approvals` shows it.")]


@with_output
def approvals(
    *,
    status: Annotated[str, typer.Option(help="open, decided or closed")] = "open",
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """What runs wait for, newest first."""
    with service_at(url) as client:
        page = client.get("approvals", {"status": status, "limit": limit})
    if as_json:
        answer(page)
    else:
        table(_COLUMNS, page["approvals"])


@with_output
def approve(
    run_id: RunId,
    tool_call_id: ToolCallId,
    args: Annotated[str | None, typer.Option(help="JSON object: call the tool with these arguments instead.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Let a run make a tool call that waits for approval."""
    body: dict[str, Any] = {"approve": True}
    if args is not None:
        body["args"] = _parsed("--args", args)
    _decide(url, run_id, tool_call_id, body, as_json=as_json)


@with_output
def deny(
    run_id: RunId,
    tool_call_id: ToolCallId,
    message: Annotated[str | None, typer.Option(help="What the model shall read.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Do not let a run make a tool call that waits for approval."""
    body: dict[str, Any] = {"approve": False} | ({"message": message} if message else {})
    _decide(url, run_id, tool_call_id, body, as_json=as_json)


@with_output
def reply(
    run_id: RunId,
    tool_call_id: ToolCallId,
    content: Annotated[str | None, typer.Option(help="JSON object: the filled-in form of the only question.")] = None,
    *,
    answers: Annotated[
        str | None, typer.Option(help='JSON object: {question: {"action": …, "content": …}}, if it asks several.')
    ] = None,
    decline: Annotated[bool, typer.Option("--decline", help="Say no to what is asked.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Dismiss what is asked.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Answer what a tool call asks; without options, agree to it (`holdfast approvals --json` shows the questions)."""
    if sum([content is not None, answers is not None, decline, cancel]) > 1:
        raise typer.BadParameter("Give one of --content, --answers, --decline and --cancel.")
    if answers is not None:
        body: dict[str, Any] = {"answers": _parsed("--answers", answers)}
    else:
        body = {"action": "decline" if decline else "cancel" if cancel else "accept"}
        body |= {} if content is None else {"content": _parsed("--content", content)}
    with service_at(url) as client:
        answered = client.post(f"runs/{run_id}/inputs/{tool_call_id}", body)
    answer(answered if as_json else answered["status"])


@with_output
def resume(
    run_id: RunId,
    tool_call_id: Annotated[str | None, typer.Argument(metavar="[TOOL_CALL_ID]")] = None,
    *,
    result: Annotated[str | None, typer.Option(help="JSON: what the tool returned, or would have.")] = None,
    error: Annotated[str | None, typer.Option(help="Why the call has no result.")] = None,
    run_again: Annotated[bool, typer.Option("--run-again", help="Make a call that was lost once more.")] = False,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Let a failed or cancelled run go on, or tell a waiting one what came of a tool call."""
    body: dict[str, Any] | None = None
    if tool_call_id is not None:
        body = {"tool_call_id": tool_call_id}
        body |= {"result": _parsed("--result", result)} if result is not None else {}
        body |= {"error": error} if error is not None else {}
        body |= {"run_again": True} if run_again else {}
    elif result is not None or error is not None or run_again:
        raise typer.BadParameter("Name the tool call that this is about.", param_hint="TOOL_CALL_ID")
    with service_at(url) as client:
        resumed = client.post(f"runs/{run_id}/resume", body)
    answer(resumed if as_json else resumed["status"])


def _decide(url: str, run_id: str, tool_call_id: str, body: dict[str, Any], *, as_json: bool) -> None:
    with service_at(url) as client:
        decided = client.post(f"runs/{run_id}/approvals/{tool_call_id}", body)
    answer(decided if as_json else decided["status"])


def _parsed(option: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"This is no JSON: {error}", param_hint=option) from None
