"""The toolset of Python functions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast, overload

from typing_extensions import Unpack

from app.ai.checks import each, expect
from app.ai.exceptions import ModelRetry, UserError
from app.ai.instructions import AgentInstructions, Instructions
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.texts import tool_timed_out
from app.ai.tools import Tool, ToolDefaults, ToolFuncEither, ToolOptions, UnnamedToolOptions
from app.ai.toolsets.abstract import AbstractToolset, ToolsetInstructions, ToolsetTool

ToolFuncT = TypeVar("ToolFuncT", bound=Callable[..., Any])


@dataclass(kw_only=True)
class FunctionToolsetTool(ToolsetTool[AgentDepsT]):
    """A function tool as one step of a run knows it."""

    call_func: Callable[[dict[str, Any], RunContext[AgentDepsT]], Awaitable[Any]]
    """Calls the function with validated arguments."""
    timeout: float | None = None
    """Seconds that one call may take."""


class FunctionToolset(AbstractToolset[AgentDepsT]):
    """Python functions as tools."""

    tools: dict[str, Tool[AgentDepsT]]
    """The tools by name."""
    max_retries: int | None
    timeout: float | None

    def __init__(
        self,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] = (),
        *,
        id: str | None = None,
        max_retries: int | None = None,
        timeout: float | None = None,
        instructions: AgentInstructions[AgentDepsT] = None,
        **defaults: Unpack[ToolDefaults],
    ):
        """`defaults` are the options of every tool that does not say otherwise; metadata is merged.

        `max_retries=None` takes the agent's budget, `timeout=None` (seconds) sets no limit.
        """
        if unknown := sorted(defaults.keys() - ToolDefaults.__annotations__.keys()):
            raise TypeError(f"a FunctionToolset has no option {', '.join(map(repr, unknown))}")
        self._id = id
        self._defaults = defaults
        self._instructions = Instructions.of(instructions)
        self.max_retries = max_retries
        self.timeout = timeout
        self.tools = {}
        for tool in each("tools", tools, "functions and Tool objects"):
            if isinstance(tool, Tool):
                self.add_tool(cast("Tool[AgentDepsT]", tool))
            else:
                self.add_function(expect("tools", tool, "functions and Tool objects", function=True))

    @property
    def id(self) -> str | None:
        return self._id

    @overload
    def tool(self, func: ToolFuncT, /) -> ToolFuncT: ...
    @overload
    def tool(self, /, **options: Unpack[ToolOptions]) -> Callable[[ToolFuncT], ToolFuncT]: ...

    def tool(self, func: Any = None, /, **options: Unpack[ToolOptions]) -> Any:
        """Register a tool function, which may take `RunContext` first."""
        return self._decorate(func, None, options)

    @overload
    def tool_plain(self, func: ToolFuncT, /) -> ToolFuncT: ...
    @overload
    def tool_plain(self, /, **options: Unpack[ToolOptions]) -> Callable[[ToolFuncT], ToolFuncT]: ...

    def tool_plain(self, func: Any = None, /, **options: Unpack[ToolOptions]) -> Any:
        """Register a tool function that does not take `RunContext`."""
        return self._decorate(func, False, options)

    @overload
    def instructions(self, func: ToolFuncT, /) -> ToolFuncT: ...
    @overload
    def instructions(self, /) -> Callable[[ToolFuncT], ToolFuncT]: ...

    def instructions(self, func: Any = None, /) -> Any:
        """Register a function whose text goes into the instructions of each request."""

        def register(function: Any) -> Any:
            self._instructions.functions.append(function)
            return function

        return register if func is None else register(func)

    def add_function(
        self,
        func: ToolFuncEither[AgentDepsT, ...],
        takes_ctx: bool | None = None,
        name: str | None = None,
        description: str | None = None,
        **options: Unpack[UnnamedToolOptions],
    ) -> None:
        """Add a function as a tool; `takes_ctx=None` looks at its first parameter."""
        given = {key: value for key, value in options.items() if value is not None}
        merged: Any = {**self._defaults, **given, "name": name, "description": description}
        if "retries" in merged:
            merged["max_retries"] = merged.pop("retries")
        self.add_tool(Tool(func, takes_ctx=takes_ctx, **merged))

    def add_tool(self, tool: Tool[AgentDepsT]) -> None:
        """Add a tool. Raises `UserError` if its name is taken."""
        if tool.name in self.tools:
            raise UserError(f"There already is a tool named {tool.name!r} in {self.label}; give one of them a `name`")
        if metadata := self._defaults.get("metadata"):
            tool.metadata = {**metadata, **(tool.metadata or {})}
        self.tools[tool.name] = tool

    async def get_instructions(self, ctx: RunContext[AgentDepsT]) -> ToolsetInstructions:
        return await self._instructions.parts(ctx) or None

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools: dict[str, ToolsetTool[AgentDepsT]] = {}
        for tool in self.tools.values():
            max_retries = self._max_retries(tool, ctx)
            tool_ctx = replace(ctx, tool_name=tool.name, retry=ctx.retries.get(tool.name, 0), max_retries=max_retries)
            definition = await tool.prepare_tool_def(tool_ctx)
            if definition is None:
                continue
            if definition.name in tools:
                raise UserError(f"Preparing tool {tool.name!r} renamed it to {definition.name!r}, which is taken")
            tools[definition.name] = FunctionToolsetTool(
                toolset=self,
                tool_def=definition,
                max_retries=max_retries,
                args_validator=tool.function_schema.validator,
                args_validator_func=tool.args_validator,
                idempotent=tool.idempotent,
                call_func=tool.function_schema.call,
                timeout=definition.timeout if definition.timeout is not None else self.timeout,
            )
        return tools

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        assert isinstance(tool, FunctionToolsetTool), f"{self.label} was given a tool that is not its own"
        if tool.timeout is None:
            return await tool.call_func(tool_args, ctx)
        deadline = asyncio.timeout(tool.timeout)
        try:
            async with deadline:
                return await tool.call_func(tool_args, ctx)
        except TimeoutError as err:
            # The function may raise TimeoutError for reasons of its own, and that is a failure like any other.
            if not deadline.expired():
                raise
            raise ModelRetry(tool_timed_out(tool.timeout)) from err

    def _max_retries(self, tool: Tool[AgentDepsT], ctx: RunContext[AgentDepsT]) -> int:
        if tool.max_retries is not None:
            return tool.max_retries
        return self.max_retries if self.max_retries is not None else ctx.max_retries

    def _decorate(self, func: Any, takes_ctx: bool | None, options: ToolOptions) -> Any:
        def register(function: Any) -> Any:
            self.add_function(function, takes_ctx, **options)
            return function

        return register if func is None else register(func)
