"""What a capability can add to an agent, and where it can step in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from app.ai.models.request_context import ModelRequestContext
from app.ai.run_context import AgentDepsT, RunContext

if TYPE_CHECKING:
    from app.ai.deferred import DeferredToolRequests, DeferredToolResults
    from app.ai.instructions import AgentInstructions
    from app.ai.messages import ModelResponse, ToolCallPart
    from app.ai.run import AgentRunResult
    from app.ai.run_state import AgentModelSettings
    from app.ai.tools import ToolDefinition
    from app.ai.toolsets import AbstractToolset, AgentToolset

WrapRunHandler: TypeAlias = "Callable[[], Awaitable[AgentRunResult[Any]]]"
WrapModelRequestHandler: TypeAlias = "Callable[[ModelRequestContext], Awaitable[ModelResponse]]"
WrapToolExecuteHandler: TypeAlias = Callable[[dict[str, Any]], Awaitable[Any]]


class AbstractCapability(Generic[AgentDepsT]):
    """Something that can be given to an agent: instructions, settings, tools, and hooks. Override what you need.

    `before` hooks run in the order of the capabilities, `after` and `on_error` hooks in reverse; the first capability
    wraps all others. In a durable run, hooks of model requests and of function tools are part of the recorded step;
    hooks of runs and of MCP tools run again when a run is recovered.
    """

    async def for_run(self, ctx: RunContext[AgentDepsT]) -> AbstractCapability[AgentDepsT]:
        """The capability for one run, for those that keep state."""
        return self

    def get_instructions(self) -> AgentInstructions[AgentDepsT]:
        """Instructions after the agent's own."""
        return None

    def get_model_settings(self) -> AgentModelSettings[AgentDepsT] | None:
        """Settings above the agent's and below those of the run."""
        return None

    def get_toolset(self) -> AgentToolset[AgentDepsT] | None:
        """A toolset beside the agent's."""
        return None

    def get_native_tools(self) -> Sequence[Any]:
        """Tools of the provider that the model may use."""
        return ()

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT] | None:
        """Something around all toolsets of the run; None leaves them as they are."""
        return None

    async def prepare_tools(
        self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition] | None:
        """Change or drop the definitions of the function tools, at each step."""
        return tool_defs

    async def prepare_output_tools(
        self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition] | None:
        """Change or drop the definitions of the output tools, at each step."""
        return tool_defs

    async def before_run(self, ctx: RunContext[AgentDepsT]) -> None:
        """Before the first node of `run`."""

    async def after_run(self, ctx: RunContext[AgentDepsT], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """After `run` has its result, which may be replaced."""
        return result

    async def wrap_run(self, ctx: RunContext[AgentDepsT], *, handler: WrapRunHandler) -> AgentRunResult[Any]:
        """Around `run`: a result may be given without calling the handler, or in place of its error."""
        return await handler()

    async def on_run_error(self, ctx: RunContext[AgentDepsT], *, error: BaseException) -> AgentRunResult[Any]:
        """When `run` failed: raise, or give a result."""
        raise error

    async def before_model_request(
        self, ctx: RunContext[AgentDepsT], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """Change what is sent; the messages become the run's history. `SkipModelRequest` answers without asking."""
        return request_context

    async def after_model_request(
        self, ctx: RunContext[AgentDepsT], *, request_context: ModelRequestContext, response: ModelResponse
    ) -> ModelResponse:
        """Change the response. `ModelRetry` keeps it and asks again, on the budget of outputs."""
        return response

    async def wrap_model_request(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        request_context: ModelRequestContext,
        handler: WrapModelRequestHandler,
    ) -> ModelResponse:
        """Around the request to the model."""
        return await handler(request_context)

    async def on_model_request_error(
        self, ctx: RunContext[AgentDepsT], *, request_context: ModelRequestContext, error: Exception
    ) -> ModelResponse:
        """When a request failed: raise, or give a response."""
        raise error

    async def before_tool_execute(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
    ) -> dict[str, Any]:
        """Change the validated arguments. `SkipToolExecution` gives a result without calling the tool."""
        return args

    async def after_tool_execute(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        result: Any,
    ) -> Any:
        """Change the result."""
        return result

    async def wrap_tool_execute(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        handler: WrapToolExecuteHandler,
    ) -> Any:
        """Around the call of a tool."""
        return await handler(args)

    async def on_tool_execute_error(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        error: Exception,
    ) -> Any:
        """When a tool failed: raise, or give a result."""
        raise error

    async def handle_deferred_tool_calls(
        self, ctx: RunContext[AgentDepsT], *, requests: DeferredToolRequests
    ) -> DeferredToolResults | None:
        """Answer deferred tool calls here and now, all or some; the rest ends the run."""
        return None


CapabilityFunc: TypeAlias = Callable[
    [RunContext[AgentDepsT]],
    "AbstractCapability[AgentDepsT] | Awaitable[AbstractCapability[AgentDepsT] | None] | None",
]
"""Chooses a capability when a run starts."""

AgentCapability: TypeAlias = AbstractCapability[AgentDepsT] | CapabilityFunc[AgentDepsT]
"""A capability, or a function that chooses one."""
