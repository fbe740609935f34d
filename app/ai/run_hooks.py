"""Hooks around what is not a function that they could call: the block that drives a run or reads a node's stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from app.ai.capabilities.lifecycle import NODE_HOOKS, node_run, whole_run
from app.ai.loop import ModelRequestNode
from app.ai.run_state import build_run_context

if TYPE_CHECKING:
    from app.ai.run import AgentRun

RUN_HOOKS: Final = ("before_run", "after_run", "wrap_run", "on_run_error")


@asynccontextmanager
async def run_hooks(run: AgentRun[Any, Any]) -> AsyncGenerator[None]:
    """Let hooks see the run begin, and the result or the error with which the block ends."""
    capability = run.ctx.deps.capability
    if not capability.overrides(*RUN_HOOKS):
        yield
        return
    hooks = partial(whole_run, capability, build_run_context(run.ctx))
    async with _around(hooks, lambda: run.result, run.answer):
        yield


@asynccontextmanager
async def node_hooks(
    run: AgentRun[Any, Any], node: ModelRequestNode[Any, Any]
) -> AsyncGenerator[ModelRequestNode[Any, Any] | None]:
    """The node whose stream the block shall read, with its hooks around; None if they settled everything.

    After the block the run stands at the node's successor.
    """
    capability = run.ctx.deps.capability
    if not capability.overrides(*NODE_HOOKS):
        yield node
        run.move_to(node.successor)
        return
    chosen = node

    async def hooks(body: Callable[..., Awaitable[Any]]) -> Any:
        async def run_or_stream(replaced: Any) -> Any:
            nonlocal chosen
            if not isinstance(replaced, ModelRequestNode):
                return await replaced.run(run.ctx)
            chosen = cast("ModelRequestNode[Any, Any]", replaced)
            return await body()

        return await node_run(capability, build_run_context(run.ctx), node, run_or_stream)

    async with _around(hooks, lambda: chosen.successor, run.move_to) as is_open:
        yield chosen if is_open else None


@asynccontextmanager
async def _around(
    hooks: Callable[[Callable[..., Awaitable[Any]]], Awaitable[Any]],
    outcome: Callable[[], Any],
    answer: Callable[[Any], None],
) -> AsyncGenerator[bool]:
    """Run `hooks` around the block, whose outcome is what the function that they are given returns.

    They run in a task of their own. What they set in the context before the block begins holds in it as well. Their
    answer goes to `answer`, also in place of an error, which then does not leave the block. The block is told whether
    they want it at all.
    """
    loop = asyncio.get_running_loop()
    begun: asyncio.Future[Context] = loop.create_future()
    ended: asyncio.Future[Any] = loop.create_future()

    async def body() -> Any:
        if not begun.done():
            begun.set_result(copy_context())
        return await ended

    async def work() -> Any:
        return await hooks(body)

    task = asyncio.create_task(work())
    try:
        await asyncio.wait({task, begun}, return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            answer(await task)
            yield False
            return
        with _adopted(begun.result()):
            try:
                yield True
            except Exception as error:
                ended.set_exception(error)
                answer(await task)
            else:
                if (result := outcome()) is not None:
                    ended.set_result(result)
                    answer(await task)
    finally:
        # Left without an outcome, as by a break, or by the cancellation of the block.
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
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
