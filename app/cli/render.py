"""Text for people and pipes: answers on stdout, everything else on stderr, plain where no terminal is."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

_CELL_WIDTH = 60
_ID_WIDTH = 36


def answer(value: Any) -> None:
    """Print what was asked for: text as it is, anything else as JSON."""
    typer.echo(value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False))


def note(text: str, *, end: str = "\n") -> None:
    """Say how it is going, on stderr."""
    typer.echo(text + end, err=True, nl=False)


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """A table on a terminal, tab-separated lines elsewhere. Cells are shortened on terminals only."""
    if not sys.stdout.isatty():
        for line in (columns, *([_cell(row.get(column)) for column in columns] for row in rows)):
            typer.echo("\t".join(line))
        return
    # Not at the head: slow to import, and pipes never need it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        # An id is for copying: never shortened, however narrow the terminal is.
        shown.add_column(column, min_width=_ID_WIDTH if column == "run_id" else None, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_short(_cell(row.get(column)))) for column in columns))
    Console().print(shown)


def shortened(value: Any) -> str:
    """A value in few words, on one line."""
    return _short(_cell(value))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\t", " ").replace("\n", " ")


def _short(text: str) -> str:
    return text if len(text) <= _CELL_WIDTH else text[: _CELL_WIDTH - 1] + "…"
