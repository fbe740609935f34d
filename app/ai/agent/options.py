"""What can be said about a run when it is started, and what can be overridden for a while."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from typing_extensions import TypedDict, TypeVar

from app.ai.capabilities import AgentCapability
from app.ai.deferred import DeferredToolResults
from app.ai.instructions import AgentInstructions
from app.ai.messages import ModelMessage
from app.ai.models import KnownModelName, Model
from app.ai.native_tools import AgentNativeTool
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.run_state import AgentModelSettings
from app.ai.tools import Tool, ToolFuncEither
from app.ai.toolsets import AbstractToolset
from app.ai.usage import RunUsage, UsageLimits

if TYPE_CHECKING:
    from app.ai.agent.spec import AgentSpec

DepsT = TypeVar("DepsT", default=None)

AgentMetadata: TypeAlias = dict[str, Any] | Callable[[RunContext[AgentDepsT]], dict[str, Any]]
"""Data about a run for the application, or a function that gives it at the start and again at the end."""


class AgentRetries(TypedDict, total=False):
    """How often the model may try again, each 1 by default."""

    tools: int
    """The budget of each tool that has none of its own."""
    output: int
    """The budget of text outputs over the run, and of each output tool that has none of its own."""


class RunOptions(TypedDict, Generic[DepsT], total=False):
    """What can be said about a run besides its prompt and output type."""

    message_history: Sequence[ModelMessage] | None
    """The conversation so far; it is copied."""
    deferred_tool_results: DeferredToolResults | None
    """Answers to the open tool calls of the history."""
    conversation_id: str | None
    """`new` begins a new conversation; None goes on with that of the history."""
    model: Model | KnownModelName | str | None
    instructions: AgentInstructions[DepsT]
    """Instructions besides the agent's."""
    deps: DepsT
    model_settings: AgentModelSettings[DepsT] | None
    """Settings above the agent's."""
    usage_limits: UsageLimits | None
    usage: RunUsage | None
    """Counted on; may be shared by several runs."""
    metadata: AgentMetadata[DepsT] | None
    """Metadata above the agent's."""
    retries: int | AgentRetries | None
    """The budget of outputs; that of tools cannot be changed for a run."""
    infer_name: bool
    """Whether an agent without a name takes that of the caller's variable."""
    toolsets: Sequence[AbstractToolset[DepsT]] | None
    """Toolsets besides the agent's."""
    capabilities: Sequence[AgentCapability[DepsT]] | None
    """Capabilities besides the agent's."""
    spec: Mapping[str, Any] | AgentSpec | None
    """Adds its instructions, settings, metadata and capabilities; its model counts if the run is given none."""


class OverrideOptions(TypedDict, Generic[DepsT], total=False):
    """What can be overridden; it wins over the agent and over the arguments of a run."""

    name: str
    deps: DepsT
    model: Model | KnownModelName | str
    toolsets: Sequence[AbstractToolset[DepsT]]
    """Instead of all toolsets; the agent's own function tools stay."""
    tools: Sequence[Tool[DepsT] | ToolFuncEither[DepsT, ...]]
    """Instead of the agent's own function tools; toolsets stay."""
    native_tools: Sequence[AgentNativeTool[DepsT]]
    """Instead of the native tools of the agent and of its capabilities."""
    instructions: AgentInstructions[DepsT]
    metadata: AgentMetadata[DepsT]
    model_settings: AgentModelSettings[DepsT]
    retries: int | AgentRetries
    """The budget of outputs."""
    spec: Mapping[str, Any] | AgentSpec | None
    """Says what is not overridden beside it; its capabilities take the place of all."""
