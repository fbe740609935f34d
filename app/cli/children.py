"""Processes that belong to this one: workers that are started again when they die, all gone when it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from app.cli.render import note

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
_STABLE_SECONDS = 30.0


async def keep_worker(environment: Mapping[str, str], *, grace_seconds: float) -> None:
    """Keep one worker process running until cancelled; then let it drain for `grace_seconds` and kill it after that."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        started = time.monotonic()
        process = await spawn(("worker", "--with-parent"), environment)
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await stop(process, grace_seconds)
            raise
        if time.monotonic() - started > _STABLE_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        note(f"The worker process ended with code {code}; another one starts in {pause} s.")
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def spawn(arguments: Sequence[str], environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    """A `holdfast` command as a child.

    It has a session of its own, so that a Ctrl-C reaches it through us only. Its stdin closes when we die, however
    we die.
    """
    return await asyncio.create_subprocess_exec(
        # -P: a folder `app` in the working directory must not pass for ours.
        *(sys.executable, "-P", "-m", "app.cli", *arguments),
        stdin=asyncio.subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )


def stop_with_parent() -> None:
    """Let this process stop as by SIGTERM when the one that holds the other end of its stdin is gone."""

    def watch() -> None:
        # Not sys.stdin: its lock would be held when the interpreter wants to close it.
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


async def stop(process: asyncio.subprocess.Process, grace_seconds: float) -> None:
    """Ask a child to end, and kill it when it has not done so in time."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), grace_seconds)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
