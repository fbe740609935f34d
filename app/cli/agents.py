"""`holdfast agents`: what can be asked to run, and agents as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DEFAULT_URL, EXIT_REFUSED, AsJson, Url, service_at, with_output
from app.cli.render import answer, note, table

commands = typer.Typer(help="The agents of the service.", invoke_without_command=True)

_COLUMNS = ("name", "model", "version", "output_type", "tools", "description")
_MEDIA_TYPES = {".json": "application/json", ".yaml": "application/yaml", ".yml": "application/yaml"}


@commands.callback()
@with_output
def agents(context: typer.Context, as_json: AsJson = False, url: Url = DEFAULT_URL) -> None:
    """The agents of the service."""
    if context.invoked_subcommand is not None:
        return
    with service_at(url) as client:
        found = client.get("agents")
    if as_json:
        answer(found)
    else:
        table(_COLUMNS, found["agents"])


@commands.command("put")
@with_output
def put(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A spec: YAML or JSON.")],
    name: Annotated[str | None, typer.Option(help="The agent's name; the file's without its suffix if absent.")] = None,
    as_json: AsJson = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Make an agent of a spec, or a new version of it; runs in flight keep theirs."""
    if file.suffix not in _MEDIA_TYPES:
        note(f"{file} is no spec.\nfix: give a .yaml, .yml or .json file")
        raise typer.Exit(EXIT_REFUSED)
    with service_at(url) as client:
        found = client.put(f"agents/{name or file.stem}", file.read_bytes(), _MEDIA_TYPES[file.suffix])
    answer(found if as_json else f"{found['name']} version {found['version']}")
