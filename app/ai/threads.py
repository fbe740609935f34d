"""Where synchronous user functions run: a thread pool of ours, so that a blocking tool starves nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache, partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_THREADS = 64

_executor: ContextVar[Executor | None] = ContextVar("tool_executor", default=None)


@cache
def default_executor() -> Executor:
    """The pool that is used when nobody chose another one; made at first use."""
    return ThreadPoolExecutor(DEFAULT_THREADS, thread_name_prefix="holdfast-tool")


@contextmanager
def use_executor(executor: Executor) -> Generator[None]:
    """Run the synchronous functions of runs inside the block on `executor`."""
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)


async def run_in_thread(func: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `func` in a thread that sees the caller's context variables. Cancelling stops the wait, not the thread."""
    context = copy_context()

    def call() -> R:
        return context.run(_without_stop_iteration, partial(func, *args, **kwargs))

    return await asyncio.get_running_loop().run_in_executor(_executor.get() or default_executor(), call)


def _without_stop_iteration(call: Callable[[], R]) -> R:
    # A future cannot carry StopIteration: whoever awaits it would wait for ever.
    try:
        return call()
    except StopIteration as err:
        raise RuntimeError("a function that runs in a thread raised StopIteration") from err
