"""A service that starts anew whenever a file of its agents changes. Runs in flight go on in the new one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from watchfiles import PythonFilter, awatch  # pyright: ignore[reportUnknownVariableType]  # trio is not installed

from app.ai.exceptions import UserError
from app.cli.children import spawn, stop
from app.cli.render import note

_GRACE_SECONDS: Final = 12.0  # event streams, a short drain, the worker's last steps


def folders_of(modules: Sequence[str]) -> list[Path]:
    """Where the files of the agents are. Raises UserError for a module that is nowhere."""
    folders: list[Path] = []
    for module in modules:
        try:
            found = find_spec(module)
        except ModuleNotFoundError:
            found = None
        if found is None or found.origin is None:
            raise UserError(
                f"There is no agents module {module!r}. Correct --agents, or make one: holdfast init {module}"
            )
        folders.append(Path(found.origin).parent)
    return folders


async def serve_anew(environment: Mapping[str, str], folders: Sequence[Path]) -> None:
    """Serve until SIGINT or SIGTERM, each time with the files as they are."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    service = await spawn(("serve", "--with-parent"), environment)
    watched = PythonFilter(extra_extensions=(".yaml", ".yml"))
    async for changes in awatch(*folders, watch_filter=watched, stop_event=stopping):
        note(f"{', '.join(sorted({Path(path).name for _, path in changes}))} changed: serving anew.")
        await stop(service, _GRACE_SECONDS)
        service = await spawn(("serve", "--with-parent"), environment)
    await stop(service, _GRACE_SECONDS)
