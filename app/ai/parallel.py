"""Running several bodies at once, so that none outlives the others' failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

K = TypeVar("K")
T = TypeVar("T")


async def run_in_parallel(
    bodies: Mapping[K, Coroutine[Any, Any, T]], report: Callable[[K, T], Awaitable[None]], *, all_first: bool = False
) -> None:
    """Run all bodies as tasks, started in the order given, and report each result as it comes.

    `all_first` reports only once all are there, in the order given. The first error cancels the other bodies, waits
    until they have ended, and is raised as it is.
    """
    tasks = {key: asyncio.create_task(body) for key, body in bodies.items()}
    pending = set(tasks.values())
    try:
        while pending:
            done, pending = await asyncio.wait(
                pending, return_when=asyncio.FIRST_EXCEPTION if all_first else asyncio.FIRST_COMPLETED
            )
            # An error leaves before anything is reported of what finished at the same moment.
            results = [(key, task.result()) for key, task in tasks.items() if task in done]
            for key, result in results:
                await report(key, result)
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
