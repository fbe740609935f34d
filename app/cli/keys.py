"""`holdfast keys create|list|revoke`: keys for the API, made where the database is at hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from app.cli.options import EXIT_REFUSED, AsJson, span_of_time, with_output
from app.cli.processes import settings_or_exit
from app.cli.render import answer, note, table

if TYPE_CHECKING:
    from app.runs.keys import Keys, Scope

T = TypeVar("T")

commands = typer.Typer(help="Make, list and revoke API keys. Works on the database itself.", no_args_is_help=True)

_SCOPES = ("read", "run", "approve", "admin")
_COLUMNS = ("name", "id", "scopes", "created_at", "expires_at", "revoked_at", "last_used_at")

Name = Annotated[str, typer.Argument(metavar="NAME")]


@commands.command("create")
def create(
    name: Name,
    scope: Annotated[list[str] | None, typer.Option(help="read, run, approve or admin; repeat for several.")] = None,
    expires_in: Annotated[str | None, typer.Option(help="Such as 30d, 12h or 90m; never if left out.")] = None,
) -> None:
    """Make a key and print it, once. Without --scope it may read and run."""
    scopes: list[Scope] = [_scope(given) for given in scope or ("read", "run")]
    lifetime = None if expires_in is None else span_of_time(expires_in, "--expires-in")
    made = _with_keys(lambda keys: keys.create(name, scopes, lifetime=lifetime))
    answer(made.text)
    note(f"Key {name!r} may {', '.join(made.info.scopes)}. It is not shown again.")


@commands.command("list")
@with_output
def list_keys(as_json: AsJson = False) -> None:
    """All keys, without their secrets."""
    rows = [key.model_dump(mode="json") for key in _with_keys(lambda keys: keys.list())]
    if as_json:
        answer({"keys": rows})
    else:
        table(_COLUMNS, rows)


@commands.command("revoke")
def revoke(name: Name) -> None:
    """End a key, given its name or id."""
    revoked = _with_keys(lambda keys: keys.revoke(name))
    note(f"Key {revoked.name!r} is revoked.")


def _with_keys(use: Callable[[Keys], Awaitable[T]]) -> T:
    with settings_or_exit() as settings:
        from app.db.engine import make_engine
        from app.errors import HoldfastError
        from app.main import database
        from app.runs.keys import Keys

        async def run(url: str) -> T:
            engine = make_engine(url, pool_size=1)
            try:
                return await use(Keys(engine))
            finally:
                await engine.dispose()

        try:
            with database(settings, Path.cwd()) as ready:
                assert ready.database_url is not None
                return asyncio.run(run(ready.database_url))
        except HoldfastError as error:
            note(f"refused: {error}" + (f"\nfix: {error.fix}" if error.fix else ""))
            raise typer.Exit(EXIT_REFUSED) from None
    raise AssertionError("settings_or_exit lets nothing pass but the end of the command")


def _scope(given: str) -> Scope:
    if given not in _SCOPES:
        raise typer.BadParameter(f"{given!r} is none of {', '.join(_SCOPES)}.", param_hint="--scope")
    return given
