"""`holdfast run` and `holdfast runs …`: the API from a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.render import answer, note, progress, table

if TYPE_CHECKING:
    from app.cli.client import ApiClient

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_WAITING = 3
EXIT_DETACHED = 130

commands = typer.Typer(help="Look at runs and change their course.", no_args_is_help=True)

Url = Annotated[str, typer.Option("--url", envvar="HOLDFAST_URL", help="Where the service is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID")]

DEFAULT_URL = "http://127.0.0.1:8000"
_LIST_COLUMNS = ("run_id", "agent", "status", "reason", "created_at")
_STEP_COLUMNS = ("step", "kind", "name", "outcome", "attempts", "input_tokens", "output_tokens", "duration_ms")


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
    """Run an agent on a prompt and print its answer.

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
def list_runs(
    *,
    agent: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="queued, running, waiting, succeeded, failed, cancelled")] = None,
    conversation: Annotated[str | None, typer.Option(help="Id of a conversation.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """The newest runs."""
    given = {"agent": agent, "status": status, "conversation_id": conversation, "limit": limit}
    with service_at(url) as client:
        page = client.get("runs", {name: value for name, value in given.items() if value is not None})
    if as_json:
        answer(page)
    else:
        table(_LIST_COLUMNS, page["runs"])


@commands.command("get")
def get_run(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """One run, with its answer or why it has none."""
    with service_at(url) as client:
        found = client.get(f"runs/{run_id}")
    if as_json:
        _print(found, "", as_json=True)
    else:
        table(("field", "value"), [{"field": name, "value": value} for name, value in found.items()])


@commands.command("steps")
def list_steps(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """What a run did, step by step."""
    with service_at(url) as client:
        found = client.get(f"runs/{run_id}/steps")
    if as_json:
        answer(found)
    else:
        table(_STEP_COLUMNS, found["steps"])


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
def follow_run(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Follow a run from its first event, and print its answer. Exit codes as for `holdfast run`."""
    with service_at(url) as client:
        client.get(f"runs/{run_id}")
        _follow(client, run_id, show_text=True, as_json=as_json)


@commands.command("cancel")
def cancel_run(run_id: RunId, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """Stop a run."""
    with service_at(url) as client:
        cancelled = client.post(f"runs/{run_id}/cancel")
    _print(cancelled, cancelled["status"], as_json=as_json)


@commands.command("fork")
def fork_run(
    run_id: RunId,
    from_step: Annotated[int, typer.Option(min=1, help="Do this step and those after it anew.")] = 1,
    prompt: Annotated[str | None, typer.Option(help="Another prompt; only from step 1.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model, provider:name.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Start a run from the middle of another one, and print its id."""
    edits = {name: value for name, value in (("prompt", prompt), ("model", model)) if value is not None}
    with service_at(url) as client:
        forked = client.post(f"runs/{run_id}/fork", {"from_step": from_step, "edits": edits})
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
        for event in client.follow(run_id):
            progress(event, show_text=show_text)
            if event["type"] == "run_waiting" and client.get(f"runs/{run_id}")["status"] == "waiting":
                break
        ended = client.get(f"runs/{run_id}")
    except KeyboardInterrupt:
        note(f"\nDetached; the run goes on. Come back with: holdfast runs follow {run_id} --url {client.url}")
        raise typer.Exit(EXIT_DETACHED) from None
    _report(ended, as_json=as_json)


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
            raise typer.Exit(EXIT_WAITING)
        case status:
            error: Mapping[str, Any] = ended["error"] or {}
            reason = error.get("message") or ended["reason"] or ""
            note(f"{status}: {reason}" if reason else status)
            raise typer.Exit(EXIT_FAILED)


def _print(found: Mapping[str, Any], short: str, *, as_json: bool) -> None:
    answer(found if as_json else short)


@contextmanager
def service_at(url: str) -> Generator[ApiClient]:
    """The service at a URL; what it refuses, or its absence, ends the command with one line instead of a traceback."""
    # Not at the head: httpx takes a third of a second.
    from app.cli.client import ApiClient, Refused, Unreachable

    try:
        yield ApiClient(url, os.environ.get("HOLDFAST_API_KEY"))
    except Refused as error:
        fix = error.problem.get("fix")
        note(f"refused: {error}" + (f"\nfix: {fix}" if fix else ""))
        raise typer.Exit(EXIT_REFUSED) from None
    except Unreachable as error:
        note(f"{error}\nfix: start one with `holdfast serve`, or give its address with --url")
        raise typer.Exit(EXIT_REFUSED) from None
