"""Options that several commands share, and the service that they talk to."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.render import note

if TYPE_CHECKING:
    from app.cli.client import ApiClient

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_WAITING = 3
EXIT_DETACHED = 130

DEFAULT_URL = "http://127.0.0.1:8000"

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

Url = Annotated[str, typer.Option("--url", envvar="HOLDFAST_URL", help="Where the service is.")]
AsJson = Annotated[bool, typer.Option("--json", help="The same as --output json.")]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID")]


class Output(StrEnum):
    """How a command shows what it found."""

    table = "table"
    json = "json"


_OUTPUT = inspect.Parameter(
    "output",
    inspect.Parameter.KEYWORD_ONLY,
    default=Output.table,
    annotation=Annotated[Output, typer.Option("--output", "-o", help="A table to read, or JSON.")],
)


def with_output(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that has `as_json` the option `--output json|table` too, so that each has both spellings."""

    @wraps(command)
    def told(*args: Any, output: Output, as_json: bool, **options: Any) -> None:
        command(*args, as_json=as_json or output is Output.json, **options)

    signature = inspect.signature(command, eval_str=True)
    given = {**signature.parameters, _OUTPUT.name: _OUTPUT}
    # Typer reads both to find out what a command can be given.
    told.__signature__ = signature.replace(  # pyright: ignore[reportAttributeAccessIssue]  # functions may have one
        parameters=sorted(given.values(), key=lambda parameter: parameter.kind)
    )
    told.__annotations__ = {name: parameter.annotation for name, parameter in given.items()}
    return told


def span_of_time(given: str, option: str) -> timedelta:
    """What `30d`, `12h` or `90m` means."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", given)
    if match is None:
        raise typer.BadParameter(f"{given!r} is no time such as 30d, 12h or 90m.", param_hint=option)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


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
