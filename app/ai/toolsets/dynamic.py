"""A toolset that a function chooses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from app.ai.callbacks import call_user_function
from app.ai.exceptions import UserError
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.toolsets.abstract import AbstractToolset, ToolsetInstructions, ToolsetTool

ToolsetFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]],
    AbstractToolset[AgentDepsT] | Awaitable[AbstractToolset[AgentDepsT] | None] | None,
]
"""Chooses a toolset, or none, for a run or for one of its steps."""


class DynamicToolset(AbstractToolset[AgentDepsT]):
    """The toolset that `toolset_func` chooses, for each step or once for the run."""

    def __init__(self, toolset_func: ToolsetFunc[AgentDepsT], per_run_step: bool = True, id: str | None = None):
        self.toolset_func = toolset_func
        self.per_run_step = per_run_step
        self._id = id
        self._asked = False
        self._chosen: AbstractToolset[AgentDepsT] | None = None
        self._entered: AbstractToolset[AgentDepsT] | None = None
        self._of_step: AbstractToolset[AgentDepsT] | None = None

    @property
    def id(self) -> str | None:
        return self._id

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        # Two runs at the same time must not share what was chosen.
        return type(self)(self.toolset_func, self.per_run_step, self._id)

    async def for_run_step(self, ctx: RunContext[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        if not self._asked or self.per_run_step:
            self._asked = True
            await self._change_to(await call_user_function(self.toolset_func, ctx), ctx)
        self._of_step = await self._entered.for_run_step(ctx) if self._entered else None
        return self

    async def __aexit__(self, *args: Any) -> bool | None:
        return await self._leave(*args)

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> ToolsetInstructions:
        return await self._of_step.get_instructions(ctx) if self._of_step else None

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        if not self._asked:
            await self.for_run_step(ctx)
        return await self._of_step.get_tools(ctx) if self._of_step else {}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        assert self._of_step is not None, "a tool was called before its toolset was chosen"
        return await self._of_step.call_tool(name, tool_args, ctx, tool)

    async def _change_to(self, toolset: AbstractToolset[AgentDepsT] | None, ctx: RunContext[AgentDepsT]) -> None:
        if toolset is self._chosen:
            return
        await self._leave(None, None, None)
        if toolset is not None:
            if not isinstance(toolset, AbstractToolset):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise UserError(f"{self.label} chose {toolset!r}; the function must return a toolset or None")
            self._entered = await (await toolset.for_run(ctx)).__aenter__()
            self._chosen = toolset

    async def _leave(self, *args: Any) -> bool | None:
        entered = self._entered
        self._chosen = self._entered = self._of_step = None
        return await entered.__aexit__(*args) if entered else None
