"""What every agent can do; all ways of running derive from `iter`."""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AbstractContextManager, AsyncExitStack, asynccontextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, overload

from typing_extensions import TypeIs, TypeVar, Unpack, deprecated

from app.ai.agent.options import OverrideOptions, RunOptions
from app.ai.agent.streaming import stream_run
from app.ai.capabilities import CombinedCapability
from app.ai.event_stream import EventStream, EventStreamHandler
from app.ai.exceptions import UserError
from app.ai.graph import End
from app.ai.loop import CallToolsNode, ModelRequestNode
from app.ai.messages import AgentStreamEvent, ModelMessage, SystemPromptPart, UserContent
from app.ai.models import KnownModelName, Model
from app.ai.output import OutputDataT, OutputSpec
from app.ai.output_schema import output_json_schema
from app.ai.own_loop import run_on_own_loop
from app.ai.prompt_node import UserPromptNode
from app.ai.result import FinalResult, StreamedRunResult, StreamedRunResultSync
from app.ai.run import AgentEventStream, AgentRun, AgentRunResult, AgentRunResultEvent
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.settings import ModelSettings
from app.ai.threads import use_executor
from app.ai.tool_manager import ParallelExecutionMode, ToolManager
from app.ai.toolsets import AbstractToolset
from app.ai.usage import RunUsage

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

RunOutputDataT = TypeVar("RunOutputDataT")
"""The output type of a run that has one of its own."""


class AbstractAgent(Generic[AgentDepsT, OutputDataT], ABC):
    """An agent: something that can be run on a prompt."""

    @property
    @abstractmethod
    def model(self) -> Model | KnownModelName | str | None:
        """The model that runs use unless told otherwise."""

    @property
    @abstractmethod
    def name(self) -> str | None:
        """The agent's name; taken from the variable that holds it if it was given none."""

    @name.setter
    @abstractmethod
    def name(self, value: str | None) -> None: ...

    @property
    def description(self) -> str | None:
        """What the agent does, in words for people."""
        return None

    @property
    @abstractmethod
    def deps_type(self) -> type:
        """The type of the dependencies."""

    @property
    @abstractmethod
    def output_type(self) -> OutputSpec[OutputDataT]:
        """What runs give."""

    @property
    @abstractmethod
    def event_stream_handler(self) -> EventStreamHandler[AgentDepsT] | None:
        """Reads the events of runs that have no handler of their own."""

    @property
    @abstractmethod
    def toolsets(self) -> Sequence[AbstractToolset[AgentDepsT]]:
        """All toolsets, that of the agent's own function tools included."""

    @property
    def root_capability(self) -> CombinedCapability[AgentDepsT]:
        """All capabilities of the agent, as one."""
        return CombinedCapability()

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
        return []

    def output_json_schema(self, output_type: OutputSpec[Any] | None = None) -> dict[str, Any]:
        """The JSON schema of what runs give, or of another output type."""
        return output_json_schema(self.output_type if output_type is None else output_type)

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

    @abstractmethod
    def iter(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        """Start a run and go through its nodes one by one."""

    @abstractmethod
    def override(self, **overrides: Unpack[OverrideOptions[AgentDepsT]]) -> AbstractContextManager[None]:
        """Let runs inside the block use these instead, whatever the agent and the arguments of the run say."""

    @overload
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[OutputDataT]: ...
    @overload
    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[RunOutputDataT]: ...

    async def run(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[Any]:
        """Run the agent on a prompt until it has a result."""
        self._infer_name(inspect.currentframe(), options)
        return await self._run(user_prompt, output_type, event_stream_handler, options)

    async def _run(
        self,
        user_prompt: str | Sequence[UserContent] | None,
        output_type: OutputSpec[Any] | None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None,
        options: RunOptions[AgentDepsT],
    ) -> AgentRunResult[Any]:
        """What `run` does, for agents that do something else."""
        async with self.iter(user_prompt, output_type=output_type, **options) as run:
            run.ctx.deps.event_stream_handler = event_stream_handler or self.event_stream_handler
            await run.to_end()
        # Hooks of the run may have changed its result when the block ended.
        assert run.result is not None, "a run that has ended has a result"
        return run.result

    @overload
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[OutputDataT]: ...
    @overload
    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[RunOutputDataT]: ...

    def run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentRunResult[Any]:
        """`run` without async. Raises `UserError` where an event loop is running already."""
        self._infer_name(inspect.currentframe(), options)
        return self._run_sync(user_prompt, output_type, event_stream_handler, options)

    def _run_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None,
        output_type: OutputSpec[Any] | None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None,
        options: RunOptions[AgentDepsT],
    ) -> AgentRunResult[Any]:
        """What `run_sync` does, for agents that do something else."""
        _refuse_running_loop("run_sync", "await agent.run(...)")

        async def run_and_close() -> AgentRunResult[Any]:
            async with _closing_at_end(self.model, options.get("model")):
                return await self.run(
                    user_prompt, output_type=output_type, event_stream_handler=event_stream_handler, **options
                )

        return run_on_own_loop(run_and_close())

    @overload
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, OutputDataT]]: ...
    @overload
    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, RunOutputDataT]]: ...

    def run_stream(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AbstractAsyncContextManager[StreamedRunResult[AgentDepsT, Any]]:
        """Run the agent until a response starts its result, and read that as it comes.

        The first output is final, nothing after it is retried. The handler gets the events before it.
        """
        self._infer_name(inspect.currentframe(), options)
        start: Any = self.iter(user_prompt, output_type=output_type, **options)
        return stream_run(start, event_stream_handler or self.event_stream_handler)

    @overload
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> StreamedRunResultSync[AgentDepsT, OutputDataT]: ...
    @overload
    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> StreamedRunResultSync[AgentDepsT, RunOutputDataT]: ...

    def run_stream_sync(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        event_stream_handler: EventStreamHandler[AgentDepsT] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> StreamedRunResultSync[AgentDepsT, Any]:
        """`run_stream` without async. Raises `UserError` where an event loop is running already."""
        self._infer_name(inspect.currentframe(), options)
        _refuse_running_loop("run_stream_sync", "async with agent.run_stream(...)")

        @asynccontextmanager
        async def open_stream() -> AsyncGenerator[StreamedRunResult[AgentDepsT, Any]]:
            async with (
                _closing_at_end(self.model, options.get("model")),
                self.run_stream(
                    user_prompt, output_type=output_type, event_stream_handler=event_stream_handler, **options
                ) as result,
            ):
                yield result

        return StreamedRunResultSync(open_stream)

    @overload
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentEventStream[OutputDataT]: ...
    @overload
    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[RunOutputDataT],
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentEventStream[RunOutputDataT]: ...

    def run_stream_events(
        self,
        user_prompt: str | Sequence[UserContent] | None = None,
        *,
        output_type: OutputSpec[Any] | None = None,
        **options: Unpack[RunOptions[AgentDepsT]],
    ) -> AgentEventStream[Any]:
        """Run the agent and read all events, the last being `AgentRunResultEvent`.

        Use it as an async context manager around the iteration; leaving it early cancels the run.
        """
        self._infer_name(inspect.currentframe(), options)

        async def produce(emit: Callable[[Any], Awaitable[None]]) -> None:
            async def forward(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
                async for event in events:
                    await emit(event)

            result = await self.run(user_prompt, output_type=output_type, event_stream_handler=forward, **options)
            await emit(AgentRunResultEvent(result))

        return EventStream(produce)

    @staticmethod
    def is_user_prompt_node(node: Any) -> TypeIs[UserPromptNode[Any, Any]]:
        """Whether a node decides what the run begins with."""
        return isinstance(node, UserPromptNode)

    @staticmethod
    def is_model_request_node(node: Any) -> TypeIs[ModelRequestNode[Any, Any]]:
        """Whether a node asks the model."""
        return isinstance(node, ModelRequestNode)

    @staticmethod
    def is_call_tools_node(node: Any) -> TypeIs[CallToolsNode[Any, Any]]:
        """Whether a node answers tool calls."""
        return isinstance(node, CallToolsNode)

    @staticmethod
    def is_end_node(node: Any) -> TypeIs[End[FinalResult[Any]]]:
        """Whether the run has ended."""
        return isinstance(node, End)

    @staticmethod
    def parallel_tool_call_execution_mode(
        mode: ParallelExecutionMode = "parallel",
    ) -> AbstractContextManager[None]:
        """How runs inside the block execute the tool calls of one response."""
        return ToolManager.parallel_execution_mode(mode)

    @staticmethod
    @deprecated("use `parallel_tool_call_execution_mode('sequential')`")
    def sequential_tool_calls() -> AbstractContextManager[None]:
        """Let runs inside the block execute tool calls one after another."""
        return ToolManager.parallel_execution_mode("sequential")

    @staticmethod
    def using_thread_executor(executor: Executor) -> AbstractContextManager[None]:
        """Run the synchronous functions of runs inside the block on `executor`."""
        return use_executor(executor)

    @abstractmethod
    async def __aenter__(self) -> Self:
        """Open toolsets and model once for all runs inside the block."""

    @abstractmethod
    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None: ...

    def _infer_name(self, frame: FrameType | None, options: RunOptions[AgentDepsT]) -> None:
        """Take the name of the variable that holds the agent in the calling frame, once per run."""
        wanted = options.get("infer_name", True)
        options["infer_name"] = False
        if not wanted or self.name is not None or frame is None or frame.f_back is None:
            return
        for variables in (frame.f_back.f_locals, frame.f_back.f_globals):
            name = next((name for name, value in variables.items() if value is self), None)
            if name is not None:
                self.name = name
                return


def _refuse_running_loop(method: str, instead: str) -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UserError(f"{method} cannot be used where an event loop is running; use `{instead}`")


@asynccontextmanager
async def _closing_at_end(*models: Model | KnownModelName | str | None) -> AsyncGenerator[None]:
    """Close the connections of models: the loop of a run without async ends with it, and they must not outlive it."""
    async with AsyncExitStack() as stack:
        for model in models:
            if isinstance(model, Model):
                await stack.enter_async_context(model)
        yield
