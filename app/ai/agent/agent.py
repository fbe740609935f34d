"""The agent: a model with instructions, tools and an output type."""

from __future__ import annotations

import inspect
from asyncio import AbstractEventLoop, Lock, get_running_loop
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast, get_args, overload
from weakref import WeakKeyDictionary

from typing_extensions import Unpack, deprecated

from app.ai.agent.abstract import AbstractAgent, RunOutputDataT
from app.ai.agent.budgets import agent_budgets
from app.ai.agent.capabilities import AgentCapabilities
from app.ai.agent.old_options import (
    OldAgentOptions,
    checked_overrides,
    warn_of_old_options,
    with_old_capabilities,
    with_old_retries,
)
from app.ai.agent.options import AgentMetadata, AgentRetries, OverrideOptions, RunOptions
from app.ai.agent.run_spec import overrides_with_spec
from app.ai.agent.spec import AgentSpec, SpecFormat, SpecOptions
from app.ai.agent.start import start_run
from app.ai.capabilities import AgentCapability, CombinedCapability, Instrumentation
from app.ai.capabilities.combined import as_capabilities
from app.ai.checks import DICT_OR_FUNCTION, TYPE_KINDS, each, expect, one_of, seconds
from app.ai.concurrency import AnyConcurrencyLimit, normalize_to_limiter
from app.ai.event_stream import EventStreamHandler
from app.ai.exceptions import UserError
from app.ai.instructions import AgentInstructions, Instructions
from app.ai.messages import ModelMessage, SystemPromptPart, UserContent
from app.ai.models import KnownModelName, Model, infer_model
from app.ai.native_tools import AgentNativeTool
from app.ai.output import OutputDataT, OutputSpec, OutputValidatorFunc
from app.ai.output_schema import OutputSchema, output_schema
from app.ai.request_preparation import dynamic_ref, system_prompt_parts
from app.ai.run import AgentRun
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.run_state import AgentModelSettings
from app.ai.settings import ModelSettings
from app.ai.template import TemplateStr
from app.ai.tool_phase import EndStrategy
from app.ai.tools import Tool, ToolFuncEither, ToolOptions
from app.ai.toolsets import (
    AbstractToolset,
    AgentToolset,
    CombinedToolset,
    DynamicToolset,
    FunctionToolset,
    ToolsetFunc,
    as_toolsets,
)
from app.ai.usage import RunUsage

if TYPE_CHECKING:
    from app.ai.instrumentation.settings import InstrumentationSettings

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


@dataclass
class _Opened:
    """What `async with agent` keeps open on one event loop, and for how many."""

    users: int = 0
    exits: AsyncExitStack = field(default_factory=AsyncExitStack)
    changing: Lock = field(default_factory=Lock)


class Agent(AbstractAgent[AgentDepsT, OutputDataT]):
    """A model with instructions, tools and an output type. One agent serves any number of runs at once."""

    deps_schema: dict[str, Any] | None = None
    """What the dependencies have to be, if a spec says it."""
    instrument_default: ClassVar[InstrumentationSettings | bool] = False
    """What `instrument_all` said."""

    def __init__(  # noqa: PLR0913 - the published options, all keyword-only but the model
        self,
        model: Model | KnownModelName | str | None = None,
        *,
        output_type: OutputSpec[OutputDataT] = str,
        instructions: AgentInstructions[AgentDepsT] = None,
        system_prompt: str | Sequence[str] = (),
        deps_type: type[AgentDepsT] = NoneType,
        name: str | None = None,
        description: TemplateStr[AgentDepsT] | str | None = None,
        model_settings: AgentModelSettings[AgentDepsT] | None = None,
        retries: int | AgentRetries | None = None,
        validation_context: Any | Callable[[RunContext[AgentDepsT]], Any] = None,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] = (),
        toolsets: Sequence[AgentToolset[AgentDepsT]] | None = None,
        defer_model_check: bool = False,
        end_strategy: EndStrategy = "early",
        metadata: AgentMetadata[AgentDepsT] | None = None,
        tool_timeout: float | None = None,
        max_concurrency: AnyConcurrencyLimit = None,
        capabilities: Sequence[AgentCapability[AgentDepsT]] | None = None,
        instrument: InstrumentationSettings | bool | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **old: Unpack[OldAgentOptions],
    ):
        """Define an agent; `RunOptions` tells what can be added for a single run.

        `tool_timeout` is in seconds. A run over `max_concurrency` waits for its turn. `defer_model_check` leaves a
        model given by name unresolved until the first run. Raises `UserError` for outputs or tools that cannot be
        described to a model.
        """
        warn_of_old_options(old)
        self._model = model if model is None or defer_model_check else infer_model(model)
        self._name = expect("name", name, "a text", str, none=True)
        self._description = description
        self._deps_type = expect("deps_type", deps_type, "a type", *TYPE_KINDS, function=True, none=True)
        self._output_type = output_type
        self._event_stream_handler = event_stream_handler
        self.model_settings = expect("model_settings", model_settings, DICT_OR_FUNCTION, dict, function=True, none=True)
        self.end_strategy: EndStrategy = one_of("end_strategy", end_strategy, get_args(EndStrategy))
        self.metadata = expect("metadata", metadata, DICT_OR_FUNCTION, dict, function=True, none=True)
        self.validation_context = validation_context
        self.tool_timeout = seconds("tool_timeout", tool_timeout)
        self.instrument = instrument
        self.concurrency_limiter = normalize_to_limiter(max_concurrency, name=name)
        self.tool_retries, self.output_retries = agent_budgets(with_old_retries(retries, old))
        self.output_schema: OutputSchema[OutputDataT] = output_schema(output_type)
        self.output_validators: list[OutputValidatorFunc[Any]] = []
        self.own_instructions = Instructions.of(instructions)
        self.system_prompts = _texts("system_prompt", system_prompt)
        self.system_prompt_functions: list[Callable[..., Any]] = []
        self.dynamic_prompt_functions: dict[str, Callable[..., Any]] = {}
        self.function_toolset = self.make_function_toolset(tools)
        self._capabilities = AgentCapabilities(with_old_capabilities(as_capabilities(capabilities), old))
        self.native_tools: list[AgentNativeTool[Any]] = list(old.get("builtin_tools", ()))
        self._user_toolsets = [*as_toolsets(toolsets), *as_toolsets(old.get("mcp_servers"))]
        self._overrides: ContextVar[OverrideOptions[Any]] = ContextVar("agent_overrides")
        # Connections belong to an event loop, and an agent defined in a module may serve several.
        self._opened: WeakKeyDictionary[AbstractEventLoop, _Opened] = WeakKeyDictionary()

    @classmethod
    def from_spec(
        cls, spec: dict[str, Any] | AgentSpec, *, deps_type: type[Any] = NoneType, **options: Unpack[SpecOptions]
    ) -> Agent[Any, Any]:
        """The agent that a spec describes; the options win over it. `UserError` names the field that is wrong."""
        known = spec if isinstance(spec, AgentSpec) else AgentSpec.from_dict(spec)
        agent = cls(**known.agent_arguments(deps_type, options))
        # A type given beside the spec is what the dependencies are then.
        agent.deps_schema = known.deps_schema if deps_type is NoneType else None
        return agent

    @classmethod
    def from_file(
        cls,
        path: Path | str,
        *,
        fmt: SpecFormat | None = None,
        deps_type: type[Any] = NoneType,
        **options: Unpack[SpecOptions],
    ) -> Agent[Any, Any]:
        """`from_spec` of a YAML or JSON file; its suffix tells the format."""
        return cls.from_spec(AgentSpec.from_file(path, fmt), deps_type=deps_type, **options)

    @staticmethod
    def instrument_all(instrument: InstrumentationSettings | bool = True) -> None:
        """Whether and how agents are instrumented that do not say so themselves."""
        Agent.instrument_default = instrument

    @property
    def instrumentation(self) -> InstrumentationSettings | None:
        """What the next run tells OpenTelemetry; None for nothing."""
        return self.instrumentation_with(())

    def instrumentation_with(self, capabilities: Sequence[AgentCapability[Any]]) -> InstrumentationSettings | None:
        """What a run with these capabilities besides the agent's tells OpenTelemetry."""
        instrument = self.instrument
        for capability in (*self.root_capability.capabilities, *capabilities):
            if isinstance(capability, Instrumentation):
                instrument = cast("Instrumentation[Any]", capability).settings
        if instrument is None:
            instrument = self.instrument_default
        if isinstance(instrument, bool):
            if not instrument:
                return None
            from app.ai.instrumentation.settings import InstrumentationSettings  # brings OpenTelemetry

            return InstrumentationSettings()
        return instrument

    @property
    def model(self) -> Model | KnownModelName | str | None:
        return self._model

    @model.setter
    def model(self, value: Model | KnownModelName | str | None) -> None:
        self._model = value

    @property
    def name(self) -> str | None:
        return self.overrides.get("name", self._name)

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    @property
    def description(self) -> str | None:
        return None if self._description is None else str(self._description)

    def render_description(self, deps: AgentDepsT = None) -> str | None:
        """The description, its template filled in for these dependencies."""
        description = self._description
        return description.render(deps) if isinstance(description, TemplateStr) else description

    @property
    def deps_type(self) -> type:
        return self._deps_type

    @property
    def output_type(self) -> OutputSpec[OutputDataT]:
        return self._output_type

    @property
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        return self._event_stream_handler

    @property
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        overrides = self.overrides
        own = self.make_function_toolset(overrides["tools"]) if "tools" in overrides else self.function_toolset
        return [own, *overrides.get("toolsets", [*self._user_toolsets, *self.capabilities.toolsets])]

    @property
    def capabilities(self) -> AgentCapabilities:
        """The agent's capabilities and their toolsets."""
        return self.overrides.get("_capabilities", self._capabilities)

    @property
    def root_capability(self) -> CombinedCapability[AgentDepsT]:
        return self.capabilities.root

    @property
    def overrides(self) -> OverrideOptions[Any]:
        """What is overridden at this moment."""
        return self._overrides.get({})

    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, OutputDataT]]: ...
    @overload
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, RunOutputDataT]]: ...

    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        self._infer_name(inspect.currentframe(), options)
        return start_run(self, user_prompt, output_type, options)

    @contextmanager
    def override(self, **overrides: Unpack[OverrideOptions[AgentDepsT]]) -> Generator[None]:
        added = overrides_with_spec(checked_overrides(overrides), self._deps_type)
        merged: Any = {**self.overrides, **added}
        token = self._overrides.set(merged)
        try:
            yield
        finally:
            self._overrides.reset(token)

    @overload
    def instructions(self, func: FunctionT, /) -> FunctionT: ...
    @overload
    def instructions(self, /) -> Callable[[FunctionT], FunctionT]: ...

    def instructions(self, func: Any = None, /) -> Any:
        """Register a function whose text, if any, goes into the instructions of each request."""

        def register(function: Any) -> Any:
            self.own_instructions.functions.append(function)
            return function

        return register if func is None else register(func)

    @overload
    def system_prompt(self, func: FunctionT, /) -> FunctionT: ...
    @overload
    def system_prompt(self, /, *, dynamic: bool = False) -> Callable[[FunctionT], FunctionT]: ...

    def system_prompt(self, func: Any = None, /, *, dynamic: bool = False) -> Any:
        """Register a function that gives a system prompt.

        It is asked once per conversation; `dynamic=True` asks it anew at the start of each run.
        """

        def register(function: Any) -> Any:
            self.system_prompt_functions.append(function)
            if dynamic:
                self.dynamic_prompt_functions[dynamic_ref(function)] = function
            return function

        return register if func is None else register(func)

    def output_validator(self, func: FunctionT) -> FunctionT:
        """Register a function that looks at each output: it gives the output back or raises `ModelRetry`."""
        self.output_validators.append(func)
        return func

    @overload
    def tool(self, func: FunctionT, /) -> FunctionT: ...
    @overload
    def tool(self, /, **options: Unpack[ToolOptions]) -> Callable[[FunctionT], FunctionT]: ...

    def tool(self, func: Any = None, /, **options: Unpack[ToolOptions]) -> Any:
        """Register a tool function that takes `RunContext` first. Its docstring is what the model reads."""
        return self._register_tool(func, True, options)

    @overload
    def tool_plain(self, func: FunctionT, /) -> FunctionT: ...
    @overload
    def tool_plain(self, /, **options: Unpack[ToolOptions]) -> Callable[[FunctionT], FunctionT]: ...

    def tool_plain(self, func: Any = None, /, **options: Unpack[ToolOptions]) -> Any:
        """Register a tool function that does not take `RunContext`. Its docstring is what the model reads."""
        return self._register_tool(func, False, options)

    @overload
    def toolset(self, func: ToolsetFunc[AgentDepsT], /) -> ToolsetFunc[AgentDepsT]: ...
    @overload
    def toolset(
        self, /, *, per_run_step: bool = True, id: str | None = None
    ) -> Callable[[ToolsetFunc[AgentDepsT]], ToolsetFunc[AgentDepsT]]: ...

    def toolset(self, func: Any = None, /, *, per_run_step: bool = True, id: str | None = None) -> Any:
        """Register a function that chooses a toolset for each step, or once for a run."""

        def register(function: Any) -> Any:
            self._user_toolsets.append(DynamicToolset(function, per_run_step, id))
            return function

        return register if func is None else register(func)

    async def system_prompt_parts(
        self,
        *,
        deps: Any = None,
        model: Model | KnownModelName | str | None = None,
        message_history: Sequence[ModelMessage] | None = None,
        prompt: str | Sequence[UserContent] | None = None,
        usage: RunUsage | None = None,
        model_settings: ModelSettings | None = None,
    ) -> list[SystemPromptPart]:
        """The system prompts that a run would begin with, without running."""
        chosen = self.overrides.get("model") or model or self._model
        if chosen is None:
            raise UserError("System prompts are made for a model, and the agent has none; give one by `model`")
        ctx = RunContext[Any](
            deps=self.overrides.get("deps", deps),
            model=infer_model(chosen),
            usage=usage or RunUsage(),
            agent=self,
            prompt=prompt,
            messages=list(message_history or ()),
            model_settings=model_settings,
        )
        return await system_prompt_parts(
            ctx, self.system_prompts, self.system_prompt_functions, self.dynamic_prompt_functions
        )

    def make_function_toolset(
        self, tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]]
    ) -> FunctionToolset[AgentDepsT]:
        """A toolset of functions with the agent's budget and timeout."""
        return FunctionToolset(tools, id="<agent>", max_retries=self.tool_retries, timeout=self.tool_timeout)

    def set_mcp_sampling_model(self, model: Model | KnownModelName | str | None = None) -> None:
        """Let all MCP servers of the agent ask this model when they want one; by default the agent's own."""
        chosen = model or self.model
        if chosen is None:
            raise UserError("There is no sampling model: give one as `model`, or give the agent a model")
        resolved = infer_model(chosen)

        def set_model(toolset: AbstractToolset[Any]) -> None:
            if hasattr(toolset, "sampling_model"):
                setattr(toolset, "sampling_model", resolved)  # noqa: B010 - only MCP servers have it

        for toolset in self.toolsets:
            toolset.apply(set_model)

    @asynccontextmanager
    @deprecated("use `async with agent` and `set_mcp_sampling_model`")
    async def run_mcp_servers(self, model: Model | KnownModelName | str | None = None) -> AsyncGenerator[None]:
        """Keep the agent's toolsets open within the block."""
        if model is not None or self.model is not None:
            self.set_mcp_sampling_model(model)
        async with self:
            yield

    async def __aenter__(self) -> Self:
        opened = self._opened.setdefault(get_running_loop(), _Opened())
        async with opened.changing:
            if opened.users == 0:
                async with AsyncExitStack() as stack:
                    await stack.enter_async_context(CombinedToolset(self.toolsets))
                    if isinstance(self._model, Model):
                        await stack.enter_async_context(self._model)
                    opened.exits = stack.pop_all()
            opened.users += 1
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        opened = self._opened[get_running_loop()]
        async with opened.changing:
            opened.users -= 1
            if opened.users == 0:
                await opened.exits.aclose()
        return None

    def __repr__(self) -> str:
        shown = ("model", "name", "end_strategy", "model_settings", "output_type", "instrument")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    def _register_tool(self, func: Any, takes_ctx: bool, options: ToolOptions) -> Any:
        def register(function: Any) -> Any:
            self.function_toolset.add_function(function, takes_ctx, **options)
            return function

        return register if func is None else register(func)


def _texts(option: str, given: str | Sequence[str]) -> tuple[str, ...]:
    texts = [given] if isinstance(given, str) else each(option, given, "texts")
    return tuple(expect(option, text, "texts", str) for text in texts)
