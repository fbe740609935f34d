"""`holdfast run` and `holdfast runs …`: the API from a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import (
    DEFAULT_URL,
    EXIT_DETACHED,
    EXIT_FAILED,
    EXIT_WAITING,
    AsJson,
    RunId,
    Url,
    service_at,
    with_output,
)
from app.cli.progress import Progress
from app.cli.render import answer, note, table
from app.durable.names import RETRY_AT

if TYPE_CHECKING:
    from app.cli.client import ApiClient

commands = typer.Typer(help="Look at runs and change their course.", no_args_is_help=True)

_LIST_COLUMNS = ("run_id", "agent", "status", "reason", "created_at")
_MESSAGE_COLUMNS = ("position", "step", "kind", "message")
_STEP_COLUMNS = (
    "step",
    "kind",
    "name",
    "outcome",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "duration_ms",
)


@with_output
def run(
    agent: Annotated[str, typer.Argument(help="Name of the agent.")],
    prompt: Annotated[str, typer.Argument(help="What to ask it.")],
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Show the model's text on stderr as it comes.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Only start the run, and print its id.")] = False,
    as_json: AsJson = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key starts the same run once.")] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation to go on with.")] = None,
    url: Url = DEFAULT_URL,
) -> None:
    """Run an agent on a prompt and print its answer; how it goes is told on stderr.

    Ctrl-C leaves the run alone and says how to come back.
    Exit codes: 0 succeeded, 1 the run failed or was cancelled, 2 refused, 3 it waits for somebody, 130 detached.
    """
    body = {"agent": agent, "prompt": prompt, "conversation_id": conversation}
    with service_at(url) as client:
        started = client.start(body, idempotency_key=idempotency_key)
        if detach:
            _print(started, started["run_id"], as_json=as_json)
            return
        _follow(client, started["run_id"], show_text=follow, as_json=as_json)


@commands.command("list")
@with_output
def list_runs(
    *,
    agent: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="queued, running, waiting, succeeded, failed, cancelled")] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Of the page before, to go on behind it.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """The newest runs."""
    asked = _given(agent=agent, status=status, conversation_id=conversation, limit=limit, cursor=cursor)
    with service_at(url) as client:
        page = client.get("runs", asked)
    if as_json:
        answer(page)
    else:
        table(_LIST_COLUMNS, page["runs"])
        if page["next_cursor"]:
            note(f"more: --cursor {page['next_cursor']}")


@commands.command("get")
@with_output
def get_run(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """One run, with its answer or why it has none."""
    with service_at(url) as client:
        found = client.get(f"runs/{run_id}")
    if as_json:
        _print(found, "", as_json=True)
    else:
        table(("field", "value"), [{"field": name, "value": value} for name, value in found.items()])


@commands.command("steps")
@with_output
def list_steps(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """What a run did, step by step."""
    with service_at(url) as client:
        found = client.get(f"runs/{run_id}/steps")
    if as_json:
        answer(found)
    else:
        table(_STEP_COLUMNS, found["steps"])


@commands.command("messages")
@with_output
def list_messages(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """What a run added to its conversation; `runs fork --from-message` takes the position."""
    with service_at(url) as client:
        found = client.get(f"runs/{run_id}/messages")
    if as_json:
        answer(found)
    else:
        table(_MESSAGE_COLUMNS, found["messages"])


@commands.command("events")
def list_events(
    run_id: RunId,
    after: Annotated[int, typer.Option(min=0, help="Only events above this seq.")] = 0,
    url: Url = DEFAULT_URL,
) -> None:
    """The events of a run so far, one JSON object per line."""
    with service_at(url) as client:
        while True:
            page = client.get(f"runs/{run_id}/events", {"after": after, "limit": 1000})
            for event in page["events"]:
                typer.echo(json.dumps(event, ensure_ascii=False))
            if not page["events"]:
                return
            after = page["next_after"]


@commands.command("follow")
@with_output
def follow_run(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Follow a run from its first event, and print its answer. Exit codes as for `holdfast run`."""
    with service_at(url) as client:
        client.get(f"runs/{run_id}")
        _follow(client, run_id, show_text=True, as_json=as_json)


@commands.command("send")
@with_output
def send_message(
    run_id: RunId,
    text: Annotated[str, typer.Argument(help="What to say.")],
    *,
    when_idle: Annotated[
        bool, typer.Option("--when-idle", help="Not before the run would end; otherwise with its next model request.")
    ] = False,
    idempotency_key: Annotated[str | None, typer.Option(help="The same key sends the same message once.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Say something to a run that has not ended, and print the id of the message."""
    body = {"content": text, "priority": "when_idle" if when_idle else "asap"}
    with service_at(url) as client:
        sent = client.post(f"runs/{run_id}/messages", body, idempotency_key=idempotency_key)
    _print(sent, sent["message_id"], as_json=as_json)


@commands.command("cancel")
@with_output
def cancel_run(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Stop a run."""
    with service_at(url) as client:
        cancelled = client.post(f"runs/{run_id}/cancel")
    _print(cancelled, cancelled["status"], as_json=as_json)


@commands.command("fork")
@with_output
def fork_run(
    run_id: RunId,
    *,
    from_step: Annotated[int | None, typer.Option(min=1, help="Do this step and those after it anew.")] = None,
    from_message: Annotated[int | None, typer.Option(min=1, help="Or: the step that made this message.")] = None,
    prompt: Annotated[str | None, typer.Option(help="Another prompt; only from step 1.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model, provider:name.")] = None,
    edit: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=JSON", help="Another prompt, model, model_settings, usage_limits or metadata."),
    ] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Start a run from the middle of another one (from its start if no place is given), and print its id."""
    edits = _edits(edit or ()) | _given(prompt=prompt, model=model)
    body = _given(from_step=from_step, from_message=from_message, edits=edits)
    with service_at(url) as client:
        forked = client.post(f"runs/{run_id}/fork", body)
    _print(forked, forked["run_id"], as_json=as_json)


@commands.command("delete")
def delete_run(run_id: RunId, url: Url = DEFAULT_URL) -> None:
    """Remove a finished run and everything that is stored of it."""
    with service_at(url) as client:
        client.delete(f"runs/{run_id}")
    note(f"Run {run_id} is deleted.")


def _follow(client: ApiClient, run_id: str, *, show_text: bool, as_json: bool) -> None:
    note(f"run {run_id}")
    try:
        with Progress(lambda: _tokens(client.get(f"runs/{run_id}")), show_text=show_text) as progress:
            for event in client.follow(run_id):
                progress.tell(event)
                if _needs_somebody(event) and client.get(f"runs/{run_id}")["status"] == "waiting":
                    break
        ended = client.get(f"runs/{run_id}")
        steps = client.get(f"runs/{run_id}/steps")["steps"]
    except KeyboardInterrupt:
        note(f"\nDetached; the run goes on. Come back with: holdfast runs follow {run_id} --url {client.url}")
        raise typer.Exit(EXIT_DETACHED) from None
    cost = "" if ended["cost_usd"] is None else f", ${ended['cost_usd']:.4f}"
    note(f"· {ended['status']}: {len(steps)} steps, {_tokens(ended)} tokens{cost}, {progress.seconds:.1f} s")
    _report(ended, as_json=as_json)


def _needs_somebody(event: Mapping[str, Any]) -> bool:
    """Whether the run waits for more than the end of a provider's pause."""
    return event["type"] == "run_waiting" and any(wait["kind"] != RETRY_AT for wait in event["data"]["waiting_for"])


def _report(ended: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        answer(ended)
    match ended["status"]:
        case "succeeded":
            if not as_json:
                answer(ended["output"])
        case "waiting":
            for wait in ended["waiting_for"] or ():
                note(f"waiting: {wait['tool']} ({wait['kind']}), tool call {wait['tool_call_id']}")
                note(f"  {_way_on(ended['run_id'], wait)}")
            raise typer.Exit(EXIT_WAITING)
        case status:
            error: Mapping[str, Any] = ended["error"] or {}
            reason = error.get("message") or ended["reason"] or ""
            note(f"{status}: {reason}" if reason else status)
            raise typer.Exit(EXIT_FAILED)


def _way_on(run_id: str, wait: Mapping[str, Any]) -> str:
    """The command that answers what a run waits for."""
    call = f"{run_id} {wait['tool_call_id']}"
    match wait["kind"]:
        case "approval":
            return f"holdfast runs approve {call}, or: holdfast runs deny {call} --message WHY"
        case "outcome_unknown":
            return f"holdfast runs resume {call} --result JSON, or --error WHY, or --run-again"
        case _:
            return f"holdfast runs resume {call} --result JSON, or --error WHY"


def _tokens(run: Mapping[str, Any]) -> int:
    return run["input_tokens"] + run["output_tokens"]


def _edits(given: Sequence[str]) -> dict[str, Any]:
    """What `--edit field=value` says; a value that is no JSON is text."""
    edits: dict[str, Any] = {}
    for item in given:
        name, found, value = item.partition("=")
        if not name or not found:
            raise typer.BadParameter(f"{item!r} is not FIELD=JSON.", param_hint="--edit")
        try:
            edits[name] = json.loads(value)
        except ValueError:
            edits[name] = value
    return edits


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _print(found: Mapping[str, Any], short: str, *, as_json: bool) -> None:
    answer(found if as_json else short)
