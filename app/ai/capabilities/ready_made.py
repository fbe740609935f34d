"""Capabilities for common needs."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from app.ai.callbacks import call_user_function, call_with_optional_context, function_name
from app.ai.capabilities.abstract import AbstractCapability, WrapRunHandler
from app.ai.capabilities.wrapper import WrapperCapability
from app.ai.event_stream import EventStreamHandler, feed_handler
from app.ai.messages import AgentStreamEvent, ModelMessage, ModelRequest, SystemPromptPart
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.settings import ModelSettings, ThinkingLevel
from app.ai.threads import use_executor
from app.ai.toolsets import (
    AbstractToolset,
    IncludeReturnSchemasToolset,
    SetMetadataToolset,
    ToolSelector,
    as_toolset,
)

if TYPE_CHECKING:
    from app.ai.deferred import DeferredToolRequests, DeferredToolResults
    from app.ai.models.request_context import ModelRequestContext
    from app.ai.run import AgentRunResult
    from app.ai.tools import ToolDefinition, ToolsPrepareFunc
    from app.ai.toolsets import AgentToolset

HistoryProcessor: TypeAlias = (
    Callable[[list[ModelMessage]], list[ModelMessage] | Awaitable[list[ModelMessage]]]
    | Callable[[RunContext[Any], list[ModelMessage]], list[ModelMessage] | Awaitable[list[ModelMessage]]]
)
"""Gives the messages to use in place of those it is given, which end in the new request."""


EventStreamProcessor: TypeAlias = Callable[
    [RunContext[AgentDepsT], AsyncIterable[AgentStreamEvent]], AsyncIterator[AgentStreamEvent]
]
"""Gives the events that others shall see in place of those it is given."""


@dataclass
class ProcessHistory(AbstractCapability[AgentDepsT]):
    """Passes the messages through a function before each request; what it gives becomes the run's history."""

    processor: HistoryProcessor

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        messages = await call_with_optional_context(self.processor, ctx, list(request_context.messages))
        return replace(request_context, messages=messages)


async def _prepared(
    function: ToolsPrepareFunc[Any], ctx: RunContext[Any], tool_defs: list[ToolDefinition]
) -> list[ToolDefinition]:
    prepared = await call_user_function(function, ctx, tool_defs)
    if prepared is None:
        warnings.warn(
            f"{function_name(function)!r} gave None for the tools of a step; give `[]` for none",
            DeprecationWarning,
            stacklevel=2,
        )
        return []
    return prepared


@dataclass
class PrepareTools(AbstractCapability[AgentDepsT]):
    """Passes the definitions of the function tools through a function at each step."""

    prepare_func: ToolsPrepareFunc[AgentDepsT]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def prepare_tools(self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        return await _prepared(self.prepare_func, ctx, tool_defs)


@dataclass
class PrepareOutputTools(AbstractCapability[AgentDepsT]):
    """Passes the definitions of the output tools through a function at each step."""

    prepare_func: ToolsPrepareFunc[AgentDepsT]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def prepare_output_tools(
        self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition]:
        return await _prepared(self.prepare_func, ctx, tool_defs)


@dataclass
class Toolset(AbstractCapability[AgentDepsT]):
    """Adds a toolset."""

    toolset: AgentToolset[AgentDepsT]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    def get_toolset(self) -> AgentToolset[AgentDepsT]:
        return self.toolset


@dataclass
class PrefixTools(WrapperCapability[AgentDepsT]):
    """Puts a prefix and an underscore before the names of the tools of a capability."""

    prefix: str = field(kw_only=True)

    @classmethod
    def from_spec(cls, *, prefix: str, capability: AbstractCapability[Any]) -> PrefixTools[Any]:
        """`capability` is written as in any agent spec."""
        return cls(capability, prefix=prefix)

    def get_toolset(self) -> AgentToolset[AgentDepsT] | None:
        toolset = self.wrapped.get_toolset()
        return None if toolset is None else as_toolset(toolset).prefixed(self.prefix)


@dataclass
class ProcessEventStream(AbstractCapability[AgentDepsT]):
    """Lets a function read the events of a run, or as an async generator change them for all others."""

    handler: EventStreamHandler[AgentDepsT] | EventStreamProcessor[AgentDepsT]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    def wrap_run_event_stream(
        self, ctx: RunContext[AgentDepsT], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        handler: Any = self.handler
        return handler(ctx, stream) if inspect.isasyncgenfunction(handler) else _observed(handler, ctx, stream)


async def _observed(
    handler: EventStreamHandler[Any], ctx: RunContext[Any], stream: AsyncIterable[AgentStreamEvent]
) -> AsyncIterator[AgentStreamEvent]:
    async with feed_handler(handler, ctx) as emit:
        async for event in stream:
            await emit(event)
            yield event


@dataclass
class HandleDeferredToolCalls(AbstractCapability[AgentDepsT]):
    """Lets a function answer deferred tool calls within the run, all or some."""

    handler: Callable[
        [RunContext[AgentDepsT], DeferredToolRequests],
        DeferredToolResults | Awaitable[DeferredToolResults | None] | None,
    ]

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[AgentDepsT], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        return await call_user_function(self.handler, ctx, requests)


@dataclass
class ReinjectSystemPrompt(AbstractCapability[AgentDepsT]):
    """Puts the agent's system prompts at the head of a history that has none, or with `replace_existing` in any."""

    replace_existing: bool = False

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        messages = request_context.messages
        if self.replace_existing:
            messages = [_without_system_prompts(message) for message in messages]
        elif any(_has_system_prompt(message) for message in messages):
            return request_context
        agent: Any = ctx.agent
        prompts: list[SystemPromptPart] = await agent.system_prompt_parts(
            deps=ctx.deps, model=ctx.model, message_history=messages, prompt=ctx.prompt, usage=ctx.usage
        )
        return replace(request_context, messages=_with_head(messages, prompts))


@dataclass
class Thinking(AbstractCapability[AgentDepsT]):
    """Lets the model think before it answers, or not."""

    effort: ThinkingLevel = True

    def get_model_settings(self) -> ModelSettings:
        return ModelSettings(thinking=self.effort)


@dataclass
class ThreadExecutor(AbstractCapability[AgentDepsT]):
    """Runs synchronous functions on an executor."""

    executor: Executor

    @classmethod
    def get_serialization_name(cls) -> str | None:
        return None

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        with use_executor(self.executor):
            return await handler()


@dataclass(init=False)
class SetToolMetadata(AbstractCapability[AgentDepsT]):
    """Adds metadata to the tools, all or those selected."""

    tools: ToolSelector[AgentDepsT]
    metadata: dict[str, Any]

    def __init__(self, *, tools: ToolSelector[AgentDepsT] = "all", **metadata: Any):
        self.tools = tools
        self.metadata = metadata

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        return SetMetadataToolset(toolset, self.metadata, self.tools)


@dataclass
class IncludeToolReturnSchemas(AbstractCapability[AgentDepsT]):
    """Tells the model what the tools return, all or those selected."""

    tools: ToolSelector[AgentDepsT] = "all"

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        return IncludeReturnSchemasToolset(toolset, self.tools)


def _has_system_prompt(message: ModelMessage) -> bool:
    return any(isinstance(part, SystemPromptPart) for part in message.parts)


def _without_system_prompts(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    return replace(message, parts=[part for part in message.parts if not isinstance(part, SystemPromptPart)])


def _with_head(messages: Sequence[ModelMessage], prompts: list[SystemPromptPart]) -> list[ModelMessage]:
    first = next((index for index, message in enumerate(messages) if isinstance(message, ModelRequest)), None)
    changed = list(messages)
    if first is not None and prompts:
        head = changed[first]
        assert isinstance(head, ModelRequest), "found as a request"
        changed[first] = replace(head, parts=[*prompts, *head.parts])
    return changed
