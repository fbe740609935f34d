"""`run_stream`: a run up to the response that starts its result, which the caller then reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from app.ai.agent_stream import AgentStream
from app.ai.event_stream import EventStreamHandler, drain
from app.ai.exceptions import UndrainedPendingMessagesError
from app.ai.graph import End
from app.ai.loop import CallToolsNode, ModelRequestNode
from app.ai.messages import AgentStreamEvent, FinalResultEvent
from app.ai.result import FinalResult, StreamedRunResult
from app.ai.run import AgentRun
from app.ai.run_hooks import node_hooks
from app.ai.run_state import build_run_context


@asynccontextmanager
async def stream_run(
    start: AbstractAsyncContextManager[AgentRun[Any, Any]], handler: EventStreamHandler[Any] | None
) -> AsyncGenerator[StreamedRunResult[Any, Any]]:
    """Run until a response starts a final result, and give it to be read; or until the end, if none does.

    The handler gets the events before the result.
    """
    async with start as run:
        run.ctx.deps.event_stream_handler = handler
        while not isinstance(node := run.next_node, End):
            if not isinstance(node, ModelRequestNode):
                await run.next(node)
                continue
            was_read = False
            async with node_hooks(run, node) as open_node:
                if open_node is not None:
                    async with open_node.stream(run.ctx) as stream:
                        if await _read_until_result(run, stream):
                            was_read = True
                            yield _streamed_result(run, open_node, stream)
            if was_read:
                return
        yield StreamedRunResult(run)


async def _read_until_result(run: AgentRun[Any, Any], stream: AgentStream[Any, Any]) -> bool:
    events = _until_result(run, stream)
    if (reader := run.ctx.deps.event_reader) is not None:
        await reader(build_run_context(run.ctx), events)
    await drain(events)
    return stream.raw_response.final_result_event is not None and not _may_be_answered(run, stream)


async def _until_result(run: AgentRun[Any, Any], stream: AgentStream[Any, Any]) -> AsyncIterator[AgentStreamEvent]:
    async for event in stream:
        yield event
        if isinstance(event, FinalResultEvent) and not _may_be_answered(run, stream):
            return


def _may_be_answered(run: AgentRun[Any, Any], stream: AgentStream[Any, Any]) -> bool:
    """Whether the result is a deferred call which a capability may answer, so that the run would go on."""
    if not run.ctx.deps.capability.overrides("handle_deferred_tool_calls"):
        return False
    return stream.output_of_response.deferred_of(stream.response) is not None


def _streamed_result(
    run: AgentRun[Any, Any], node: ModelRequestNode[Any, Any], stream: AgentStream[Any, Any]
) -> StreamedRunResult[Any, Any]:
    final = stream.raw_response.final_result_event
    assert final is not None, "the stream was read until its final result"

    async def complete(output: Any) -> None:
        result = FinalResult(output, final.tool_name, final.tool_call_id)
        response = await stream.finish()
        if run.ctx.state.pending:
            raise UndrainedPendingMessagesError(
                "Messages were enqueued that run_stream cannot deliver: it ends with the first output"
            )
        await run.end(await CallToolsNode[Any, Any](response).settle_streamed(run.ctx, result))

    return StreamedRunResult(run, stream, complete)
