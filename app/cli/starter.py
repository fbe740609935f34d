"""`holdfast init`: a folder of agents with one example, to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.options import EXIT_REFUSED
from app.cli.render import answer, note

_PACKAGE: Final = '''\
"""The agents of this service, by the name under which they are run. YAML files in this folder are agents too."""

from {folder}.weather import weather

AGENTS = {{"weather": weather}}
'''
_EXAMPLE: Final = '''\
"""An agent that tells how warm it is."""

from app.ai import Agent

# `test` needs no key: it calls each tool once and tells what came of it. For a real one: "openai:gpt-5.2", with
# OPENAI_API_KEY in the environment of the workers.
weather = Agent("test", instructions="Be brief.")


@weather.tool_plain(idempotent=True)
async def temperature(city: str) -> float:
    """Degrees Celsius in a city."""
    return 21.5
'''


def init(folder: Annotated[Path, typer.Argument(help="A new folder; its name is that of a Python package.")]) -> None:
    """Make a folder of agents with one example that runs."""
    name = folder.name
    if not name.isidentifier():
        raise typer.BadParameter(f"{name!r} cannot be imported. Use letters, digits and _.", param_hint="FOLDER")
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        note(f"{folder} is there already.\nfix: name a folder that is not")
        raise typer.Exit(EXIT_REFUSED) from None
    (folder / "__init__.py").write_text(_PACKAGE.format(folder=name))
    (folder / "weather.py").write_text(_EXAMPLE)
    answer(str(folder / "weather.py"))
    where = "" if folder.parent == Path() else f"cd {folder.parent} && "
    note(
        f"Serve it, and serve it anew whenever it changes:\n  {where}holdfast dev --agents {name}\n"
        'Ask it from another shell:\n  holdfast run weather "How warm is it in Oslo?"'
    )
