"""`holdfast serve`, `dev`, `api`, `worker` and `migrate`: the processes of a service."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.options import EXIT_FAILED, EXIT_REFUSED
from app.cli.render import note

if TYPE_CHECKING:
    from app.settings import Settings

Host = Annotated[str | None, typer.Option(help="Address to listen on; HOLDFAST_HOST.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; HOLDFAST_PORT.")]
WithParent = Annotated[bool, typer.Option("--with-parent", hidden=True)]

_DEV_DRAIN_SECONDS = "1"


def serve(
    host: Host = None,
    port: Port = None,
    first_prompt: Annotated[str | None, typer.Option(help="Send this to the demo agent and show its answer.")] = None,
    with_parent: WithParent = False,
) -> None:
    """Serve the API and a worker. Brings a Postgres of its own when DATABASE_URL is not set."""
    with settings_or_exit(host=host, port=port) as settings:
        from app.cli.children import stop_with_parent
        from app.cli.serving import serve_all
        from app.main import database, migrate_database

        if with_parent:
            stop_with_parent()
        with database(settings, Path.cwd()) as ready:
            migrate_database(ready)
            asyncio.run(serve_all(ready, first_prompt=first_prompt))


def dev(
    agents: Annotated[str | None, typer.Option(help="Modules with agents, by commas; HOLDFAST_AGENTS.")] = None,
    host: Host = None,
    port: Port = None,
) -> None:
    """Serve as `serve` does, and start anew whenever a file of the agents changes; runs in flight go on."""
    with settings_or_exit(agents=agents, host=host, port=port) as settings:
        from app.cli.developing import folders_of, serve_anew
        from app.main import database, migrate_database

        folders = folders_of(settings.agents)
        with database(settings, Path.cwd()) as ready:
            assert ready.database_url is not None
            migrate_database(ready)
            environment = {
                "HOLDFAST_DRAIN_SECONDS": _DEV_DRAIN_SECONDS,
                **os.environ,
                "DATABASE_URL": ready.database_url,
                "HOLDFAST_AGENTS": ",".join(ready.agents),
                "HOLDFAST_HOST": ready.host,
                "HOLDFAST_PORT": str(ready.port),
            }
            asyncio.run(serve_anew(environment, folders))


def api(host: Host = None, port: Port = None) -> None:
    """Serve the HTTP API alone; workers execute what it stores."""
    with settings_or_exit(host=host, port=port) as settings:
        from app.main import serve_api

        asyncio.run(serve_api(settings))


def worker(
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many worker processes.")] = 1,
    with_parent: WithParent = False,
) -> None:
    """Execute runs. Several workers, here or on other machines, share the work and take over from dead ones."""
    with settings_or_exit() as settings:
        if number > 1:
            from app.cli.serving import supervise

            asyncio.run(supervise(settings, number))
            return
        from app.cli.children import stop_with_parent
        from app.main import work

        if with_parent:
            stop_with_parent()
        raise typer.Exit(work(settings))


def migrate() -> None:
    """Bring the database to what this version needs. Safe to run at any time, and by several at once."""
    with settings_or_exit() as settings:
        from app.main import migrate_database

        migrate_database(settings)
        note("The database is up to date.")


@contextmanager
def settings_or_exit(**given: object) -> Generator[Settings]:
    """The settings, with logging set up; what cannot work ends the command with one line instead of a traceback."""
    import psycopg

    from app.ai.exceptions import UserError
    from app.db.embedded import EmbeddedPostgresError
    from app.settings import SettingsError, load_settings
    from app.telemetry import set_up_logging

    try:
        settings = load_settings(**{name: value for name, value in given.items() if value is not None})
        set_up_logging(settings.log_level)
        yield settings
    except (SettingsError, UserError, EmbeddedPostgresError) as error:
        note(str(error))
        raise typer.Exit(EXIT_REFUSED) from None
    except psycopg.OperationalError as error:
        note(f"Postgres cannot be reached: {error}\nfix: check DATABASE_URL and that the server runs")
        raise typer.Exit(EXIT_FAILED) from None
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
