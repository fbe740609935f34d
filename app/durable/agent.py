"""Agents whose runs are DBOS workflows, for programs that use the library without the Holdfast service.

    agent.run ──> workflow `<name>.run` ──> the agent with a DBOSModel and DBOSMCPServers ──> steps

Function tools are the workflow's own code: one that reaches outside should be a `@DBOS.step`.
"""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Mapping,
    Sequence,
)
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

from dbos import DBOS, DBOSConfiguredInstance
from typing_extensions import Unpack

from app.ai.agent import AbstractAgent, Agent, OverrideOptions, RunOptions, WrapperAgent
from app.ai.event_stream import EventStreamHandler, drain
from app.ai.exceptions import UserError
from app.ai.mcp import MCPServer
from app.ai.messages import AgentStreamEvent, UserContent
from app.ai.output import OutputDataT, OutputSpec
from app.ai.result import StreamedRunResult
from app.ai.run import AgentRun, AgentRunResult
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.steps import Steps, current_steps, use_steps
from app.ai.toolsets import AbstractToolset
from app.durable import agent_records, names
from app.durable.agent_mcp import DBOSMCPServer
from app.durable.agent_model import DBOSModel, run_handler
from app.durable.agent_steps import StepConfig, in_workflow
from app.durable.agent_toolsets import ServerStep, replayable, with_recorded_servers

DBOSParallelExecutionMode: TypeAlias = Literal["sequential", "parallel_ordered_events"]
"""How the tool calls of one response are executed. Parallel calls must not draw steps in an order left to chance."""

_Stored: TypeAlias = AgentRunResult[Any] | agent_records.Record


@dataclass
class _Call:
    """A call of `run` that waits in this process: its workflow uses the caller's objects, not their records."""

    record: agent_records.Record
    arguments: dict[str, Any]
    result: AgentRunResult[Any] | None = None


_waiting_call: ContextVar[_Call | None] = ContextVar("_waiting_call", default=None)


@DBOS.dbos_class()
class DBOSAgent(WrapperAgent[AgentDepsT, OutputDataT], DBOSConfiguredInstance):
    """Runs `wrapped` in DBOS workflows, so that a run that was interrupted goes on where it was.

    Create it before `DBOS.launch()`, under a name that no other agent has and that never changes. Requests to the
    model and to MCP servers are steps; a step in flight when the process dies is performed again.
    """

    def __init__(
        self,
        wrapped: AbstractAgent[AgentDepsT, OutputDataT],
        *,
        name: str | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        mcp_step_config: StepConfig | None = None,
        model_step_config: StepConfig | None = None,
        parallel_execution_mode: DBOSParallelExecutionMode = "parallel_ordered_events",
    ):
        """Raises `UserError` if there is no name, no model, or an MCP server without an id.

        `parallel_execution_mode="sequential"` is for tools that take several steps, or a step after a wait.
        """
        super().__init__(wrapped)
        self._name = _required_name(name or wrapped.name)
        self._event_stream_handler = event_stream_handler or wrapped.event_stream_handler
        self._model = _durable_model(wrapped, self._name, model_step_config, self._event_stream_handler)
        self._inside = _InsideAgent(
            wrapped, self._model, _server_step(self._name, mcp_step_config), parallel_execution_mode
        )
        DBOSConfiguredInstance.__init__(self, self._name)
        self._run_workflow, self._run_sync_workflow = self._register_workflows(self._name)

    @property
    def name(self) -> str | None:
        return self._name

    @name.setter
    def name(self, value: str | None) -> NoReturn:
        raise UserError("The name of a DBOSAgent cannot change: its workflows are recorded under it")

    @property
    def model(self) -> DBOSModel:
        return self._model

    @property
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        return self._event_stream_handler

    @property
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        return self._inside.toolsets

    async def _run(
        self,
        user_prompt: str | Sequence[UserContent] | None,
        output_type: OutputSpec[Any] | None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None,
        options: RunOptions[AgentDepsT],
    ) -> AgentRunResult[Any]:
        """Run the agent in the workflow `<name>.run`.

        Its id, and so the id of the run, is that of `dbos.SetWorkflowID`, if given. `event_stream_handler` and
        `toolsets` are stored with the run if DBOS keeps objects, as it does unless it was given a serializer; both are
        made of functions of a module then. Otherwise there are no toolsets for one run, and its handler follows this
        call only.
        """
        with self._call(user_prompt, output_type, event_stream_handler, options) as call:
            record = await self._run_workflow(call.record)
        return call.result or agent_records.read_stored_result(record, self._output_type(output_type))

    def _run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None,
        output_type: OutputSpec[Any] | None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None,
        options: RunOptions[AgentDepsT],
    ) -> AgentRunResult[Any]:
        """The same without async, in the workflow `<name>.run_sync`."""
        with self._call(user_prompt, output_type, event_stream_handler, options) as call:
            record = self._run_sync_workflow(call.record)
        return call.result or agent_records.read_stored_result(record, self._output_type(output_type))

    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, Any]]:
        """As the wrapped agent does, and nothing is recorded. Refused inside a workflow, whose replay has no stream."""
        if in_workflow():
            raise UserError(
                "Inside a workflow a DBOSAgent has no `run_stream`; use `run` with an `event_stream_handler`"
            )
        return super().run_stream(
            user_prompt, output_type=output_type, event_stream_handler=event_stream_handler, **options
        )

    def run_stream_events(self, *args: Any, **options: Any) -> NoReturn:
        """Refused: nobody could read the events of a run that goes on in another process."""
        raise UserError("A DBOSAgent has no `run_stream_events`; use `run` with an `event_stream_handler`")

    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        """Inside a workflow of the program, the run's requests are steps of it; elsewhere nothing is recorded."""
        self._refuse_other_model(options)
        options["infer_name"] = False
        agent = self._inside if in_workflow() else self.wrapped
        return agent.iter(user_prompt, output_type=output_type, **options)

    def override(self, **overrides: Unpack[OverrideOptions[AgentDepsT]]) -> AbstractContextManager[None]:
        refused = sorted(overrides.keys() & {"model", "toolsets", "tools"})
        if refused and in_workflow():
            raise UserError(
                f"Inside a workflow {' and '.join(refused)} of a DBOSAgent cannot be overridden, because a replay "
                "would not know of it; define another DBOSAgent"
            )
        return self.wrapped.override(**overrides)

    @contextmanager
    def _call(
        self, user_prompt: Any, output_type: Any, handler: EventStreamHandler[Any] | None, options: Mapping[str, Any]
    ) -> Generator[_Call]:
        self._refuse_other_model(options)
        overridden: Mapping[str, Any] = getattr(_innermost(self.wrapped), "overrides", {})
        if not isinstance(overridden.get("model", self._model), DBOSModel) or overridden.keys() & {"toolsets", "tools"}:
            raise UserError(
                "A recovered run would not know an overridden model, toolsets or tools; override them around `iter` or "
                "`run_stream` of the wrapped agent, or define another DBOSAgent"
            )
        agent_records.check_toolsets(options.get("toolsets") or ())
        arguments = {"user_prompt": user_prompt, "output_type": output_type, **options, "infer_name": False}
        arguments["event_stream_handler"] = handler
        call = _Call(agent_records.input_record(self, arguments), arguments)
        token = _waiting_call.set(call)
        try:
            yield call
        finally:
            _waiting_call.reset(token)

    def _refuse_other_model(self, options: Mapping[str, Any]) -> None:
        model = options.get("model")
        if model is not None and model is not self._model and model is not self._model.wrapped:
            raise UserError(
                "A DBOSAgent runs on the model of the agent that it wraps; for another model define another DBOSAgent"
            )

    def _output_type(self, output_type: Any) -> Any:
        return self.output_type if output_type is None else output_type

    def _register_workflows(
        self, name: str
    ) -> tuple[
        Callable[[agent_records.Record], Awaitable[_Stored]],
        Callable[[agent_records.Record], _Stored],
    ]:
        # DBOS registers functions, not methods: the name leads a recovery to the function, the function to its agent.
        @DBOS.workflow(name=names.agent_run_workflow(name))
        async def run(record: agent_records.Record) -> _Stored:
            with self._workflow(record) as (arguments, finish):
                return finish(await self._inside.run(**arguments))

        @DBOS.workflow(name=names.agent_run_sync_workflow(name))
        def run_sync(record: agent_records.Record) -> _Stored:
            with self._workflow(record) as (arguments, finish):
                return finish(self._inside.run_sync(**arguments))

        return run, run_sync

    @contextmanager
    def _workflow(
        self, record: agent_records.Record
    ) -> Generator[tuple[dict[str, Any], Callable[[AgentRunResult[Any]], _Stored]]]:
        """The arguments of the run that this workflow is, and how it ends."""
        call = _waiting_call.get()
        if call is not None and call.record is not record:
            call = None
        arguments = call.arguments if call else agent_records.read_input(self, record)
        # Without one, its requests would be steps of another name.
        lost_handler = _drop_events if arguments.pop(agent_records.STREAMS, False) else None
        handler = arguments.get("event_stream_handler") or self._event_stream_handler or lost_handler
        durable = {"model": None, "event_stream_handler": handler and _outside_steps(handler)}

        def finish(result: AgentRunResult[Any]) -> _Stored:
            if call is not None:
                call.result = result
            return agent_records.stored_result(result, self._output_type(arguments.get("output_type")))

        steps = Steps()
        steps.run_id = DBOS.workflow_id
        token = run_handler.set(handler)
        try:
            with use_steps(steps):
                yield {**arguments, **durable}, finish
        finally:
            run_handler.reset(token)


class _InsideAgent(WrapperAgent[AgentDepsT, OutputDataT]):
    """The wrapped agent as a workflow runs it."""

    def __init__(
        self,
        wrapped: AbstractAgent[AgentDepsT, OutputDataT],
        model: DBOSModel,
        server_step: ServerStep,
        mode: DBOSParallelExecutionMode,
    ):
        super().__init__(wrapped)
        self._model = model
        self._server_step = server_step
        self._mode: DBOSParallelExecutionMode = mode
        self._recorded = [(toolset, with_recorded_servers(toolset, server_step)) for toolset in wrapped.toolsets]

    @property
    def event_stream_handler(self) -> None:
        return None

    @property
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        return [self._as_recorded(toolset) for toolset in self.wrapped.toolsets]

    def _as_recorded(self, toolset: AbstractToolset[AgentDepsT]) -> AbstractToolset[AgentDepsT]:
        known = (recorded for own, recorded in self._recorded if own is toolset)
        return next(known, None) or with_recorded_servers(toolset, self._server_step)

    @asynccontextmanager
    async def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AsyncGenerator[AgentRun[AgentDepsT, Any]]:
        options["infer_name"] = False
        options.pop("model", None)
        async with AsyncExitStack() as stack:
            inner = _innermost(self.wrapped)
            added = options.get("capabilities") or ()
            settings = inner.instrumentation_with(added) if isinstance(inner, Agent) else None
            model = self._model if settings is None else self._model.instrumented(settings)
            stack.enter_context(self.wrapped.override(model=model))
            stack.enter_context(self.parallel_tool_call_execution_mode(self._mode))
            with use_steps(_ReplayableSteps(self._server_step, current_steps.get().run_id)):
                run = await stack.enter_async_context(
                    self.wrapped.iter(user_prompt, output_type=output_type, **options)
                )
            # The id of the workflow is for this run only, not for those that its tools may start.
            stack.enter_context(use_steps(Steps()))
            yield run


class _ReplayableSteps(Steps):
    """Calls of MCP servers are steps, also of those that a capability or a function brings for one run."""

    def __init__(self, server_step: ServerStep, run_id: str | None):
        self._server_step = server_step
        self.run_id = run_id

    def wrap_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        return replayable(toolset, self._server_step)


def _innermost(agent: AbstractAgent[Any, Any]) -> AbstractAgent[Any, Any]:
    while isinstance(agent, WrapperAgent):
        agent = agent.wrapped
    return agent


def _required_name(name: str | None) -> str:
    if not name:
        raise UserError("A DBOSAgent needs a unique name; give `name` to the agent or to DBOSAgent")
    return name


def _durable_model(
    wrapped: AbstractAgent[Any, Any],
    prefix: str,
    config: StepConfig | None,
    handler: EventStreamHandler[Any] | None,
) -> DBOSModel:
    if wrapped.model is None:
        raise UserError("A DBOSAgent needs an agent that has a model; it cannot be chosen at each run")
    return DBOSModel(wrapped.model, step_name_prefix=prefix, step_config=config, event_stream_handler=handler)


def _server_step(prefix: str, config: StepConfig | None) -> ServerStep:
    def recorded(server: MCPServer) -> DBOSMCPServer:
        return DBOSMCPServer(server, step_name_prefix=prefix, step_config=config or {})

    return recorded


async def _drop_events(_ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    await drain(events)


def _outside_steps(handler: EventStreamHandler[Any]) -> EventStreamHandler[Any]:
    """The handler for the workflow's own events: the streams of model steps, which fed it already, are empty here.

    It is called for each event, so that one which is a step itself is performed before the run goes on.
    """

    async def handle(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        async for event in events:
            await handler(ctx, _alone(event))

    return handle


async def _alone(event: AgentStreamEvent) -> AsyncIterator[AgentStreamEvent]:
    yield event
