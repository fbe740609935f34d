"""`holdfast psql`: read the database of a service with SQL, also on a machine that has no psql."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import typer

from app.cli.processes import settings_or_exit


def psql(arguments: typer.Context) -> None:
    """Open psql on the service's database; options go to psql: `holdfast psql -c 'select * from holdfast.runs'`."""
    with settings_or_exit() as settings:
        from app.db.embedded import packaged_program
        from app.db.engine import libpq_url
        from app.main import database

        program = shutil.which("psql") or str(packaged_program("psql"))
        with database(settings, Path.cwd()) as ready:
            assert ready.database_url is not None
            finished = subprocess.run([program, libpq_url(ready.database_url), *arguments.args], check=False)
        raise typer.Exit(finished.returncode)
