"""The `holdfast` command. Light to import: each command imports what it needs."""

from __future__ import annotations

import os
import sys

import typer

from app.cli import agents, approvals, keys, operations, processes, psql, runs, starter

cli = typer.Typer(
    name="holdfast",
    help="A durable agent service on one Postgres.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
cli.command("init")(starter.init)
cli.command("dev")(processes.dev)
cli.command("serve")(processes.serve)
cli.command("api")(processes.api)
cli.command("worker")(processes.worker)
cli.command("migrate")(processes.migrate)
cli.command("doctor")(operations.doctor)
cli.command("workers")(operations.workers)
cli.command("prune")(operations.prune)
cli.command("psql", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(psql.psql)
cli.command("run")(runs.run)
cli.command("approvals")(approvals.approvals)
runs.commands.command("approve")(approvals.approve)
runs.commands.command("deny")(approvals.deny)
runs.commands.command("answer")(approvals.reply)
runs.commands.command("resume")(approvals.resume)
cli.add_typer(agents.commands, name="agents")
cli.add_typer(runs.commands, name="runs")
cli.add_typer(keys.commands, name="keys")


def main() -> None:
    """Entry point of the `holdfast` script."""
    # Agents are found beside where the command is given. At the end: nothing there may pass for a part of Holdfast.
    if (here := os.getcwd()) not in sys.path:
        sys.path.append(here)
    cli()
