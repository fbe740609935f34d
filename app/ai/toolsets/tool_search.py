"""Finding tools: those whose loading is deferred stay hidden until the model has searched for them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias, cast

from pydantic_core import SchemaValidator, core_schema

from app.ai.callbacks import call_user_function
from app.ai.exceptions import UserError
from app.ai.messages import ModelMessage, ModelRequest, ToolReturnPart
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.tools import ToolDefinition
from app.ai.toolsets.abstract import AbstractToolset, ToolsetTool
from app.ai.toolsets.wrapper import WrapperToolset

SEARCH_TOOL = "search_tools"

ToolSearchFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT], Sequence[str], Sequence[ToolDefinition]], Sequence[str] | Awaitable[Sequence[str]]
]
"""Gives the names of the tools that fit the queries, the best first."""

ToolSearchStrategy: TypeAlias = Literal["keywords"] | ToolSearchFunc[AgentDepsT]
"""How tools are found: by the words in their names and descriptions, or by a function."""

_queries_validator = SchemaValidator(
    core_schema.typed_dict_schema(
        {"queries": core_schema.typed_dict_field(core_schema.list_schema(core_schema.str_schema()))},
        extra_behavior="forbid",
    )
)

_DESCRIPTION = "Search for more tools than you see now. Those that are found can be called from the next step on."
_PARAMETER_DESCRIPTION = "What the tools shall be good for, in a few words each."
_NOTHING_FOUND = "No tool fits. Try other words, or go on without."


@dataclass
class ToolSearchToolset(WrapperToolset[AgentDepsT]):
    """The same tools; as long as deferred ones are hidden, `search_tools` finds them for the model.

    Which tools were found is read from the messages, so a run that goes on with a history still has them.
    """

    strategy: ToolSearchStrategy[AgentDepsT] = "keywords"
    max_results: int = 10
    tool_description: str | None = None
    parameter_description: str | None = None
    searcher: AbstractToolset[AgentDepsT] | None = field(default=None, repr=False)
    """Answers the searches: a leaf, so that durable runs record them like calls of other tools."""

    def __post_init__(self) -> None:
        self.searcher = self.searcher or _Searcher(self)

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tools = await self.wrapped.get_tools(ctx)
        if not any(tool.tool_def.defer_loading for tool in tools.values()):
            return tools
        if SEARCH_TOOL in tools:
            raise UserError(
                f"The name {SEARCH_TOOL!r} is kept for finding tools with `defer_loading`; rename your tool"
            )
        found = found_tools(ctx.messages)
        shown = {name: tool for name, tool in tools.items() if name in found or not tool.tool_def.defer_loading}
        if hidden := [tool.tool_def for name, tool in tools.items() if name not in shown]:
            search = (await self._searcher.get_tools(ctx))[SEARCH_TOOL]
            assert isinstance(search, _SearchTool), "the searcher makes these"
            shown[SEARCH_TOOL] = replace(search, hidden=hidden)
        return shown

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        owner = self._searcher if isinstance(tool, _SearchTool) else self.wrapped
        return await owner.call_tool(name, tool_args, ctx, tool)

    def apply(self, visitor: Callable[[AbstractToolset[AgentDepsT]], None]) -> None:
        super().apply(visitor)
        visitor(self._searcher)

    def visit_and_replace(
        self, visitor: Callable[[AbstractToolset[AgentDepsT]], AbstractToolset[AgentDepsT]]
    ) -> AbstractToolset[AgentDepsT]:
        return replace(self, wrapped=self.wrapped.visit_and_replace(visitor), searcher=visitor(self._searcher))

    @property
    def _searcher(self) -> AbstractToolset[AgentDepsT]:
        assert self.searcher is not None, "set when the toolset is made"
        return self.searcher


def found_tools(messages: Sequence[ModelMessage]) -> set[str]:
    """The names of the tools that searches found in a conversation."""
    parts = (part for message in messages if isinstance(message, ModelRequest) for part in message.parts)
    found: set[str] = set()
    for part in parts:
        if isinstance(part, ToolReturnPart) and part.tool_name == SEARCH_TOOL:
            match part.content:
                case {"discovered_tools": [*tools]}:
                    found.update(tool["name"] for tool in cast("list[dict[str, str]]", tools))
                case _:
                    pass  # the search was denied, or skipped for a final result
    return found


@dataclass(kw_only=True)
class _SearchTool(ToolsetTool[AgentDepsT]):
    hidden: Sequence[ToolDefinition] = ()


class _Searcher(AbstractToolset[AgentDepsT]):
    def __init__(self, search: ToolSearchToolset[AgentDepsT]):
        self.search = search

    @property
    def id(self) -> str | None:
        return "<tool search>"

    async def get_tools(self, ctx: RunContext[AgentDepsT]) -> dict[str, ToolsetTool[AgentDepsT]]:
        tool = _SearchTool(
            toolset=self,
            tool_def=self._definition(),
            max_retries=ctx.max_retries,
            args_validator=_queries_validator,
            idempotent=True,
        )
        return {SEARCH_TOOL: tool}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[AgentDepsT], tool: ToolsetTool[AgentDepsT]
    ) -> Any:
        assert isinstance(tool, _SearchTool), "a search tool is made where the hidden tools are known"
        strategy, queries = self.search.strategy, tool_args["queries"]
        if callable(strategy):
            names = await call_user_function(strategy, ctx, queries, tool.hidden)
        else:
            names = by_keywords(queries, tool.hidden)
        known = {definition.name: definition for definition in tool.hidden}
        fitting = [known[name] for name in names if name in known][: self.search.max_results]
        answer: dict[str, Any] = {
            "discovered_tools": [{"name": tool.name, "description": tool.description} for tool in fitting]
        }
        return answer if fitting else {**answer, "message": _NOTHING_FOUND}

    def _definition(self) -> ToolDefinition:
        queries = {
            "type": "array",
            "items": {"type": "string"},
            "description": self.search.parameter_description or _PARAMETER_DESCRIPTION,
        }
        schema = {"type": "object", "properties": {"queries": queries}, "required": ["queries"]}
        return ToolDefinition(
            name=SEARCH_TOOL,
            description=self.search.tool_description or _DESCRIPTION,
            parameters_json_schema={**schema, "additionalProperties": False},
            tool_kind="tool-search",
        )


def by_keywords(queries: Sequence[str], tools: Sequence[ToolDefinition]) -> list[str]:
    """The tools with words of the queries in their names and descriptions, those with most of them first."""
    wanted = _words(" ".join(queries))
    hits = {tool.name: len(wanted & _words(f"{tool.name} {tool.description or ''}")) for tool in tools}
    return sorted((name for name, hit in hits.items() if hit), key=lambda name: -hits[name])


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.lower()))
