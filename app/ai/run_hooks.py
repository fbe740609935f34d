"""The hooks of a whole run, which stand around the block that drives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from app.ai.capabilities.lifecycle import whole_run
from app.ai.run_state import build_run_context

if TYPE_CHECKING:
    from app.ai.run import AgentRun, AgentRunResult

RUN_HOOKS: Final = ("before_run", "after_run", "wrap_run", "on_run_error")


@asynccontextmanager
async def run_hooks(run: AgentRun[Any, Any]) -> AsyncGenerator[None]:
    """Let hooks see the run begin, and the result or the error with which the block ends.

    They run in a task of their own, because a block cannot be a function that a hook calls. What they set in the
    context before the run goes on holds in the block as well. An error that they answer does not leave the block.
    """
    capability = run.ctx.deps.capability
    if not capability.overrides(*RUN_HOOKS):
        yield
        return
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[Context] = loop.create_future()
    ended: asyncio.Future[AgentRunResult[Any]] = loop.create_future()

    async def body() -> AgentRunResult[Any]:
        if not begun.done():
            begun.set_result(copy_context())
        return await ended

    hooks = asyncio.create_task(whole_run(capability, build_run_context(run.ctx), body))
    try:
        await asyncio.wait({hooks, begun}, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            run.answer(await hooks)
            yield
            return
        with _adopted(begun.result()):
            try:
                yield
            except Exception as error:
                ended.set_exception(error)
                run.answer(await hooks)
            else:
                if run.result is not None:
                    ended.set_result(run.result)
                    run.answer(await hooks)
    finally:
        # Left without a result, as by a break, or by the cancellation of the block.
        hooks.cancel()
        await asyncio.gather(hooks, return_exceptions=True)
        if ended.done() and not ended.cancelled():
            ended.exception()  # nobody needs to have looked at it


@contextmanager
def _adopted(context: Context) -> Generator[None]:
    current = copy_context()
    changed = [variable for variable in context if current.get(variable, _UNSET) is not context[variable]]
    tokens = [(variable, variable.set(context[variable])) for variable in changed]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


_UNSET: Any = object()
