"""A run of an agent while it goes on, and its result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeAlias

from app.ai.capabilities.lifecycle import NODE_HOOKS, node_run
from app.ai.deferred import DeferredToolRequests
from app.ai.event_stream import EventStream
from app.ai.exceptions import UndrainedPendingMessagesError, UserError
from app.ai.graph import End
from app.ai.history import last_response, with_output_tool_return
from app.ai.loop import CallToolsNode, ModelRequestNode
from app.ai.messages import AgentStreamEvent, ModelMessage, ModelMessagesTypeAdapter, ModelResponse
from app.ai.output import OutputDataT
from app.ai.pending import EnqueueContent, PendingMessage, PendingMessagePriority
from app.ai.prompt_node import AgentRunNode, UserPromptNode
from app.ai.reprs import repr_without_defaults
from app.ai.result import FinalResult
from app.ai.run_context import AgentDepsT
from app.ai.run_state import GraphAgentState, RunState, build_run_context, deliver, take_pending
from app.ai.stamps import CallableTimestamp
from app.ai.usage import RunUsage

NodeOrEnd: TypeAlias = AgentRunNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]]


@dataclass(repr=False)
class AgentRun(Generic[AgentDepsT, OutputDataT]):
    """A run that goes on: iterate over its nodes, or drive them by `next`."""

    ctx: RunState
    """The state of the run and what was decided when it began."""
    next_node: NodeOrEnd[AgentDepsT, OutputDataT]
    """The node that is run next."""
    _refresh_metadata: Callable[[], Awaitable[None]]
    _iterating: bool = field(default=False, init=False)
    _answer: AgentRunResult[OutputDataT] | None = field(default=None, init=False)

    @property
    def result(self) -> AgentRunResult[OutputDataT] | None:
        """The result; None while the run goes on."""
        if self._answer is not None:
            return self._answer
        if not isinstance(self.next_node, End):
            return None
        final = self.next_node.data
        return AgentRunResult(final.output, final.tool_name, final.tool_call_id, self.ctx.state)

    def __aiter__(self) -> AsyncIterator[NodeOrEnd[AgentDepsT, OutputDataT]]:
        return self

    async def __anext__(self) -> NodeOrEnd[AgentDepsT, OutputDataT]:
        if not self._iterating:
            self._iterating = True
            return self.next_node
        if isinstance(self.next_node, End):
            raise StopAsyncIteration
        successor: Any = await self.next_node.run(self.ctx)
        if isinstance(successor, End) and self.ctx.state.pending:
            raise UndrainedPendingMessagesError(
                "The run ended with messages that were enqueued. Iterating over a run cannot deliver them: "
                "drive it by `AgentRun.next`, or use `Agent.run`"
            )
        return await self._go_to(successor)

    async def next(self, node: AgentRunNode[AgentDepsT, OutputDataT]) -> NodeOrEnd[AgentDepsT, OutputDataT]:
        """Run a node, normally `next_node`, with the hooks of nodes, and return its successor."""
        if not isinstance(node, UserPromptNode | ModelRequestNode | CallToolsNode):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise UserError(f"Only a node of the run can be run, not {node!r}")
        self._iterating = True
        successor = await self._run_with_hooks(node)
        if self._would_end(successor) and (pending := await take_pending(self.ctx, ending=True)):
            # Somebody has something to add.
            successor = ModelRequestNode[Any, Any](deliver(self.ctx, pending))
        return await self._go_to(successor)

    def _would_end(self, successor: NodeOrEnd[AgentDepsT, OutputDataT]) -> bool:
        if not isinstance(successor, End):
            return False
        # A run that waits for its deferred calls goes on.
        return not (self.ctx.deps.steps.may_wait and isinstance(successor.data.output, DeferredToolRequests))

    async def _run_with_hooks(self, node: AgentRunNode[AgentDepsT, OutputDataT]) -> Any:
        capability = self.ctx.deps.capability
        if not capability.overrides(*NODE_HOOKS):
            return await node.run(self.ctx)

        async def body(chosen: AgentRunNode[AgentDepsT, OutputDataT]) -> Any:
            return await chosen.run(self.ctx)

        return await node_run(capability, build_run_context(self.ctx), node, body)

    async def to_end(self) -> AgentRunResult[OutputDataT]:
        """Run all nodes."""
        while not isinstance(self.next_node, End):
            await self.next(self.next_node)
        assert self.result is not None, "a run that has ended has a result"
        return self.result

    def answer(self, result: AgentRunResult[OutputDataT]) -> None:
        """End the run with what hooks made its result."""
        self._answer = result
        if not isinstance(self.next_node, End):
            self.next_node = End(FinalResult(result.output))

    def move_to(self, node: Any) -> None:
        """Go on from this node, unless the run has ended."""
        if node is not None and not isinstance(self.next_node, End):
            self.next_node = node

    async def end(self, result: FinalResult[OutputDataT]) -> None:
        """End the run here with this result, as when its output was taken from a stream."""
        await self._refresh_metadata()
        self.next_node = End(result)

    async def _go_to(self, node: Any) -> NodeOrEnd[AgentDepsT, OutputDataT]:
        if isinstance(node, End):
            await self._refresh_metadata()
        self.next_node = node
        return self.next_node

    def all_messages(self) -> list[ModelMessage]:
        """All messages so far, those of earlier runs included."""
        return self.ctx.state.message_history

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`all_messages` as JSON."""
        return _as_json(self._with_content(self.all_messages(), output_tool_return_content))

    def new_messages(self) -> list[ModelMessage]:
        """The messages of this run so far."""
        return _new_messages(self.ctx.state)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`new_messages` as JSON."""
        return _as_json(self._with_content(self.new_messages(), output_tool_return_content))

    @property
    def usage(self) -> RunUsage:
        """The usage so far; `usage()` is the same."""
        return self.ctx.state.usage

    def enqueue(self, *content: EnqueueContent, priority: PendingMessagePriority = "asap") -> None:
        """Put messages into the conversation: with the next request, or `when_idle` once the run would end.

        Call it on the run's event loop. Raises `UserError` if the messages do not end in a request.
        """
        self.ctx.state.pending.enqueue(content, priority)

    @property
    def pending_messages(self) -> list[PendingMessage]:
        """What was enqueued and is not yet in the conversation."""
        return self.ctx.state.pending.queue

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The run's metadata."""
        return self.ctx.state.metadata

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self.ctx.state.run_id

    @property
    def conversation_id(self) -> str:
        """The id of the conversation that the run belongs to."""
        return self.ctx.state.conversation_id

    def _with_content(self, messages: list[ModelMessage], content: str | None) -> list[ModelMessage]:
        if content is None:
            return messages
        call_id = self.next_node.data.tool_call_id if isinstance(self.next_node, End) else None
        return with_output_tool_return(messages, call_id, content)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} run_id={self.run_id!r} next_node={self.next_node!r}>"


@dataclass(repr=False)
class AgentRunResult(Generic[OutputDataT]):
    """The result of a run."""

    output: OutputDataT
    """The output of the run."""
    _output_tool_name: str | None = field(default=None, compare=False)
    _output_tool_call_id: str | None = field(default=None, compare=False)
    _state: GraphAgentState = field(
        default_factory=lambda: GraphAgentState(run_id="", conversation_id=""), repr=False, compare=False
    )

    @property
    def response(self) -> ModelResponse:
        """The last response of the model."""
        response = last_response(self._state.message_history)
        if response is None:
            raise ValueError("The run has no response: it ended before the model was asked")
        return response

    def all_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """All messages, those of earlier runs included.

        `output_tool_return_content` replaces the answer to the output tool's call, in a copy; `ValueError` if the
        output did not come from an output tool.
        """
        return self._with_content(self._state.message_history, output_tool_return_content)

    def all_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`all_messages` as JSON."""
        return _as_json(self.all_messages(output_tool_return_content=output_tool_return_content))

    def new_messages(self, *, output_tool_return_content: str | None = None) -> list[ModelMessage]:
        """The messages of this run."""
        return self._with_content(_new_messages(self._state), output_tool_return_content)

    def new_messages_json(self, *, output_tool_return_content: str | None = None) -> bytes:
        """`new_messages` as JSON."""
        return _as_json(self.new_messages(output_tool_return_content=output_tool_return_content))

    @property
    def usage(self) -> RunUsage:
        """The usage of the run; `usage()` is the same."""
        return self._state.usage

    @property
    def timestamp(self) -> CallableTimestamp:
        """When the last response was made; `timestamp()` is the same."""
        return CallableTimestamp.of(self.response.timestamp)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """The run's metadata."""
        return self._state.metadata

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return self._state.run_id

    @property
    def conversation_id(self) -> str:
        """The id of the conversation that the run belongs to."""
        return self._state.conversation_id

    def _with_content(self, messages: list[ModelMessage], content: str | None) -> list[ModelMessage]:
        if content is None:
            return messages
        return with_output_tool_return(messages, self._output_tool_call_id, content)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output={self.output!r})"


@dataclass(repr=False)
class AgentRunResultEvent(Generic[OutputDataT]):
    """The run has ended; the last event of `run_stream_events`."""

    result: AgentRunResult[OutputDataT]
    event_kind: Literal["agent_run_result"] = field(default="agent_run_result", kw_only=True)

    __repr__ = repr_without_defaults


AgentEventStream: TypeAlias = EventStream[AgentStreamEvent | AgentRunResultEvent[OutputDataT]]
"""The events of a whole run, which goes on only while somebody reads them."""


def _new_messages(state: GraphAgentState) -> list[ModelMessage]:
    messages = state.message_history
    first = next((index for index, message in enumerate(messages) if message.run_id == state.run_id), len(messages))
    return messages[first:]


def _as_json(messages: list[ModelMessage]) -> bytes:
    return ModelMessagesTypeAdapter.dump_json(messages)
