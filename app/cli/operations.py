"""`holdfast doctor`, `workers` and `prune`: whether everything is well, who works, and what is old."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import EXIT_FAILED, AsJson, span_of_time, with_output
from app.cli.processes import settings_or_exit
from app.cli.render import answer, note, table

if TYPE_CHECKING:
    from app.settings import Settings

_WORKER_COLUMNS = ("executor_id", "host", "pid", "application_version", "started_at", "silent_seconds", "runs")


def doctor() -> None:
    """Check settings, agents with their models and MCP servers, database and workers, and say what to do about each.

    Exit codes: 0 all is well, 1 something is not.
    """
    with settings_or_exit() as settings:
        from app.agents.registry import load_agents, load_providers
        from app.ai.exceptions import UserError
        from app.cli.checkup import check_agents
        from app.db.checkup import Finding, check_database
        from app.main import database

        findings = [Finding("settings", "The environment can be used.")]
        try:
            agents = load_agents(settings.agents)
            load_providers(settings.agents, agents)
            names = ", ".join(sorted(agents)) or "none"
            findings.append(Finding("agents", f"{names} (from {', '.join(settings.agents)})"))
            findings += asyncio.run(check_agents(agents))
        except UserError as error:
            findings.append(Finding("agents", str(error), "Correct the module, or HOLDFAST_AGENTS."))
        with database(settings, Path.cwd()) as ready:
            assert ready.database_url is not None
            findings += check_database(ready.database_url, version=settings.application_version)
        for finding in findings:
            typer.echo(f"{'ok  ' if finding.well else 'FAIL'}  {finding.thing}: {finding.detail}")
            if finding.fix:
                typer.echo(f"      fix: {finding.fix}")
        raise typer.Exit(0 if all(finding.well for finding in findings) else EXIT_FAILED)


def prune(
    older_than: Annotated[str, typer.Option(help="Such as 30d, 12h or 90m: since anything happened in it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many runs that would be.")] = False,
) -> None:
    """Delete old conversations with all their runs, and print how many runs that were.

    Kept are conversations with an unfinished run, and those with a fork that is kept.
    """
    age = span_of_time(older_than, "--older-than")
    with settings_or_exit() as settings:
        from app.main import database

        with database(settings, Path.cwd()) as ready:
            answer(str(asyncio.run(_prune(ready, age, dry_run=dry_run))))


async def _prune(settings: Settings, age: timedelta, *, dry_run: bool) -> int:
    from app.db.engine import dbos_url, make_engine
    from app.durable.client import RunClient
    from app.runs.retention import count_old, prune

    assert settings.database_url is not None
    engine, client = make_engine(settings.database_url, pool_size=1), RunClient(dbos_url(settings.database_url))
    deleted = 0
    try:
        if dry_run:
            return await count_old(engine, age)
        async for runs in prune(engine, client, age):
            deleted += runs
            note(f"{deleted} runs deleted")
        return deleted
    finally:
        await client.close()
        await engine.dispose()


@with_output
def workers(
    here: Annotated[
        bool, typer.Option("--here", help="Those of this host; exit code 1 if none of them is heard.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """The worker processes, their last heartbeat and the runs that they hold."""
    with settings_or_exit() as settings:
        from app.db.checkup import SILENT_SECONDS, list_workers
        from app.main import database

        with database(settings, Path.cwd()) as ready:
            assert ready.database_url is not None
            rows = [{**row, "started_at": row["started_at"].isoformat()} for row in list_workers(ready.database_url)]
    if here:
        rows = [row for row in rows if row["host"] == socket.gethostname()]
    if as_json:
        answer({"workers": rows})
    else:
        table(_WORKER_COLUMNS, rows)
    if here and not any(row["silent_seconds"] < SILENT_SECONDS for row in rows):
        raise typer.Exit(EXIT_FAILED)
