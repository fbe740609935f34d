"""A whole service in one command: API, worker processes, and a first prompt to see that it works."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from app.cli.children import keep_worker
from app.cli.first_prompt import show_first_prompt
from app.main import serve_api
from app.settings import Settings

_EXIT_SECONDS = 3.0  # a worker's last steps after its drain


async def serve_all(settings: Settings, *, first_prompt: str | None) -> None:
    """Serve HTTP with one worker process beside it, until SIGINT or SIGTERM."""
    async with _workers(settings, 1):
        prompt = asyncio.create_task(show_first_prompt(settings, first_prompt)) if first_prompt else None
        try:
            await serve_api(settings)
        finally:
            if prompt is not None:
                prompt.cancel()


async def supervise(settings: Settings, number: int) -> None:
    """Keep `number` worker processes running until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    async with _workers(settings, number):
        await stopping.wait()


@asynccontextmanager
async def _workers(settings: Settings, number: int) -> AsyncGenerator[None]:
    environment = dict(os.environ)
    if settings.database_url is not None:
        environment["DATABASE_URL"] = settings.database_url
    grace = settings.drain_seconds + _EXIT_SECONDS
    keepers = [asyncio.create_task(keep_worker(environment, grace_seconds=grace)) for _ in range(number)]
    try:
        yield
    finally:
        for keeper in keepers:
            keeper.cancel()
        for keeper in keepers:
            with suppress(asyncio.CancelledError):
                await keeper
