"""What a capability can add to an agent, and where it can step in."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeAlias

from pydantic import ValidationError

from app.ai.exceptions import ModelRetry
from app.ai.models.request_context import ModelRequestContext
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.template import TemplateStr

if TYPE_CHECKING:
    from app.ai.capabilities.ordering import CapabilityOrdering
    from app.ai.capabilities.ready_made import PrefixTools
    from app.ai.deferred import DeferredToolRequests, DeferredToolResults
    from app.ai.graph import End
    from app.ai.instructions import AgentInstructions
    from app.ai.messages import AgentStreamEvent, ModelResponse, ToolCallPart
    from app.ai.native_tools import AgentNativeTool
    from app.ai.output import OutputContext
    from app.ai.prompt_node import AgentRunNode
    from app.ai.result import FinalResult
    from app.ai.run import AgentRunResult
    from app.ai.run_state import AgentModelSettings
    from app.ai.tools import ToolDefinition
    from app.ai.toolsets import AbstractToolset, AgentToolset

AgentNode: TypeAlias = "AgentRunNode[AgentDepsT, Any]"
"""A node of the agent loop."""
NodeResult: TypeAlias = "AgentRunNode[AgentDepsT, Any] | End[FinalResult[Any]]"
"""What a node gives: the node after it, or the end."""
RawToolArgs: TypeAlias = str | dict[str, Any]
"""The arguments of a call as the model sent them."""
ValidatedToolArgs: TypeAlias = dict[str, Any]
"""The arguments of a call as the tool gets them."""
RawOutput: TypeAlias = str | dict[str, Any]
"""An output as the model sent it: a text, or the arguments of an output tool."""

WrapRunHandler: TypeAlias = "Callable[[], Awaitable[AgentRunResult[Any]]]"
WrapNodeRunHandler: TypeAlias = "Callable[[AgentNode[AgentDepsT]], Awaitable[NodeResult[AgentDepsT]]]"
WrapModelRequestHandler: TypeAlias = "Callable[[ModelRequestContext], Awaitable[ModelResponse]]"
WrapToolValidateHandler: TypeAlias = Callable[[RawToolArgs], Awaitable[ValidatedToolArgs]]
WrapToolExecuteHandler: TypeAlias = Callable[[ValidatedToolArgs], Awaitable[Any]]
WrapOutputValidateHandler: TypeAlias = Callable[[RawOutput], Awaitable[Any]]
WrapOutputProcessHandler: TypeAlias = Callable[[Any], Awaitable[Any]]

_OWN_FIELDS: Final = ("id", "description", "defer_loading")


# Without equality by fields: a subclass that is no dataclass has more to compare than these.
@dataclass(eq=False)
class AbstractCapability(Generic[AgentDepsT]):
    """Something that can be given to an agent: instructions, settings, tools, and hooks. Override what you need.

    Hooks stand around seven points: `run`, `node_run`, `model_request`, `tool_validate`, `tool_execute`,
    `output_validate` and `output_process`. At each, `before` changes what goes in, `wrap` stands around it, `on_error`
    may answer what failed (or raise), `after` changes what comes out. `before` hooks run in the order of the
    capabilities, `after` and `on_error` hooks in reverse; the first capability wraps all others.

    In a durable run, hooks of model requests and of function tools are part of the recorded step; all others run
    again when a run is recovered, so they may depend on nothing but what they are given.
    """

    _: KW_ONLY
    id: str | None = field(default=None, repr=False)
    """What the model and `RunContext.capabilities` call it by."""
    description: TemplateStr[AgentDepsT] | str | None = field(default=None, repr=False)
    """What it is for, in words for the model."""
    defer_loading: bool = field(default=False, repr=False)
    """Whether the model has to load it before it has its instructions, tools and settings."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = inspect.get_annotations(cls)
        again = {name: own.pop(name) for name in _OWN_FIELDS if name in own and name in vars(cls)}
        if again and "_" not in own and any(name not in vars(cls) for name in own):
            # Dataclasses keep these in front, where they would come with defaults before fields without.
            cls.__annotations__ = {**own, "_": KW_ONLY, **again}

    def __post_init__(self) -> None:
        # A subclass may say them once for all its instances, as plain attributes of the class.
        for name in _OWN_FIELDS:
            if not vars(self).get(name) and getattr(type(self), name):
                vars(self).pop(name, None)

    @classmethod
    def get_serialization_name(cls) -> str | None:
        """The name in agent specs; None for a capability that cannot be written down."""
        return cls.__name__

    @classmethod
    def from_spec(cls, *args: Any, **kwargs: Any) -> AbstractCapability[Any]:
        """The capability with the arguments of an agent spec."""
        return cls(*args, **kwargs)

    def apply(self, visitor: Callable[[AbstractCapability[AgentDepsT]], None]) -> None:
        """Visit the capability, or those that it holds."""
        visitor(self)

    def get_ordering(self) -> CapabilityOrdering | None:
        """Where it wants to stand among the others; None leaves it where it was listed."""
        return None

    @property
    def has_wrap_node_run(self) -> bool:
        """Whether it has a hook around nodes."""
        return self.overrides("wrap_node_run")

    @property
    def has_wrap_run_event_stream(self) -> bool:
        """Whether it wants to see the events of runs, also when nobody else reads them."""
        return self.overrides("wrap_run_event_stream")

    def overrides(self, *hooks: str) -> bool:
        """Whether it has any of these hooks."""
        return any(getattr(type(self), hook) is not getattr(AbstractCapability, hook) for hook in hooks)

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

    def get_native_tools(self) -> Sequence[AgentNativeTool[AgentDepsT]]:
        """Tools of the provider that the model may use, or functions that choose one for each request."""
        old: Callable[[], Sequence[AgentNativeTool[AgentDepsT]]] | None = getattr(self, "get_builtin_tools", None)
        if old is None:
            return []
        warnings.warn("`get_builtin_tools` is deprecated, use `get_native_tools`", DeprecationWarning, stacklevel=2)
        return old()

    def get_wrapper_toolset(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT] | None:
        """Something around all toolsets of the run; None leaves them as they are."""
        return None

    def prefix_tools(self, prefix: str) -> PrefixTools[AgentDepsT]:
        """The same with a prefix before the names of its tools."""
        from app.ai.capabilities.ready_made import PrefixTools  # a capability itself

        return PrefixTools(wrapped=self, prefix=prefix)

    async def prepare_tools(self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]) -> list[ToolDefinition]:
        """Change or drop the definitions of the function tools, at each step."""
        return tool_defs

    async def prepare_output_tools(
        self, ctx: RunContext[AgentDepsT], tool_defs: list[ToolDefinition]
    ) -> list[ToolDefinition]:
        """Change or drop the definitions of the output tools, at each step."""
        return tool_defs

    # The run

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

    # A node

    async def before_node_run(
        self, ctx: RunContext[AgentDepsT], *, node: AgentNode[AgentDepsT]
    ) -> AgentNode[AgentDepsT]:
        """Before a node that `run` or `AgentRun.next` runs; another node may be run instead."""
        return node

    async def after_node_run(
        self, ctx: RunContext[AgentDepsT], *, node: AgentNode[AgentDepsT], result: NodeResult[AgentDepsT]
    ) -> NodeResult[AgentDepsT]:
        """After a node: the run may go on elsewhere."""
        return result

    async def wrap_node_run(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        node: AgentNode[AgentDepsT],
        handler: WrapNodeRunHandler[AgentDepsT],
    ) -> NodeResult[AgentDepsT]:
        """Around a node."""
        return await handler(node)

    async def on_node_run_error(
        self, ctx: RunContext[AgentDepsT], *, node: AgentNode[AgentDepsT], error: Exception
    ) -> NodeResult[AgentDepsT]:
        """When a node failed: raise, or say where the run goes on."""
        raise error

    def wrap_run_event_stream(
        self, ctx: RunContext[AgentDepsT], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        """Around the events of one model response, or of the tool calls after it."""
        return stream

    # A request to the model

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

    # A call of a tool, which is not an output tool

    async def before_tool_validate(
        self, ctx: RunContext[AgentDepsT], *, call: ToolCallPart, tool_def: ToolDefinition, args: RawToolArgs
    ) -> RawToolArgs:
        """Change the arguments as the model sent them. `SkipToolValidation` gives valid ones."""
        return args

    async def after_tool_validate(
        self, ctx: RunContext[AgentDepsT], *, call: ToolCallPart, tool_def: ToolDefinition, args: ValidatedToolArgs
    ) -> ValidatedToolArgs:
        """Change the valid arguments."""
        return args

    async def wrap_tool_validate(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: RawToolArgs,
        handler: WrapToolValidateHandler,
    ) -> ValidatedToolArgs:
        """Around the validation of arguments."""
        return await handler(args)

    async def on_tool_validate_error(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: RawToolArgs,
        error: ValidationError | ModelRetry,
    ) -> ValidatedToolArgs:
        """When arguments are not valid: raise, or give valid ones."""
        raise error

    async def before_tool_execute(
        self, ctx: RunContext[AgentDepsT], *, call: ToolCallPart, tool_def: ToolDefinition, args: ValidatedToolArgs
    ) -> ValidatedToolArgs:
        """Change the validated arguments. `SkipToolExecution` gives a result without calling the tool."""
        return args

    async def after_tool_execute(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: ValidatedToolArgs,
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
        args: ValidatedToolArgs,
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
        args: ValidatedToolArgs,
        error: Exception,
    ) -> Any:
        """When a tool failed: raise, or give a result."""
        raise error

    # An output

    async def before_output_validate(
        self, ctx: RunContext[AgentDepsT], *, output_context: OutputContext, output: RawOutput
    ) -> RawOutput:
        """Change an output as the model sent it. Plain texts and images are not validated."""
        return output

    async def after_output_validate(
        self, ctx: RunContext[AgentDepsT], *, output_context: OutputContext, output: Any
    ) -> Any:
        """Change the valid output."""
        return output

    async def wrap_output_validate(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        output_context: OutputContext,
        output: RawOutput,
        handler: WrapOutputValidateHandler,
    ) -> Any:
        """Around the validation of an output."""
        return await handler(output)

    async def on_output_validate_error(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        output_context: OutputContext,
        output: RawOutput,
        error: ValidationError | ModelRetry,
    ) -> Any:
        """When an output is not valid: raise, or give a valid one."""
        raise error

    async def before_output_process(
        self, ctx: RunContext[AgentDepsT], *, output_context: OutputContext, output: Any
    ) -> Any:
        """Change the output before output functions and validators see it."""
        return output

    async def after_output_process(
        self, ctx: RunContext[AgentDepsT], *, output_context: OutputContext, output: Any
    ) -> Any:
        """Change the output that the run will have."""
        return output

    async def wrap_output_process(
        self,
        ctx: RunContext[AgentDepsT],
        *,
        output_context: OutputContext,
        output: Any,
        handler: WrapOutputProcessHandler,
    ) -> Any:
        """Around output functions and validators."""
        return await handler(output)

    async def on_output_process_error(
        self, ctx: RunContext[AgentDepsT], *, output_context: OutputContext, output: Any, error: Exception
    ) -> Any:
        """When an output function or validator failed: raise, or give an output."""
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
