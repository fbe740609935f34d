"""The agent loop: ask the model, call the tools, until there is a result.

    UserPromptNode ──> ModelRequestNode ──> CallToolsNode ──> End
          │                   ^                  │ │
          │                   └──────────────────┘ │
          └────────────────────────────────────────┘

Replay-sensitive: a recovered run goes through these nodes again and takes what reached outside from its record. What
happens next may depend only on messages and on what came through `Steps`, never on time, chance or IO.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Generic

from pydantic import ValidationError

from app.ai.agent_stream import AgentStream, ReadResponse, open_agent_stream
from app.ai.capabilities.lifecycle import model_request
from app.ai.deferred import DEFERRED_NOT_ALLOWED, DeferredToolRequests
from app.ai.event_stream import Emit, EventStream, drain, feed_handler, ignore_event
from app.ai.exceptions import AgentRunError, ModelRetry, UserError
from app.ai.graph import BaseNode, End
from app.ai.history import with_unique_call_ids
from app.ai.messages import (
    AgentStreamEvent,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryPromptPart,
    ThinkingPart,
    UserContent,
    UserPromptPart,
)
from app.ai.models import StreamedResponse
from app.ai.models.request_context import ModelRequestContext
from app.ai.models.wrapper import CompletedStreamedResponse
from app.ai.older_events import native_tool_events
from app.ai.output import OutputDataT
from app.ai.request_preparation import (
    messages_to_send,
    prepare_request,
)
from app.ai.response_handling import read_with_handler
from app.ai.response_output import ResponseOutput
from app.ai.responses import content_filtered, retry_parts, text_of, token_limit_reached
from app.ai.result import FinalResult
from app.ai.run_context import AgentDepsT, RunContext
from app.ai.run_state import (
    GraphAgentDeps,
    GraphAgentState,
    RunState,
    build_run_context,
    output_context,
    stamp_request,
    take_pending,
)
from app.ai.steps import PreparedRequest
from app.ai.texts import no_action, output_retries_exceeded
from app.ai.tool_manager import describe_problem
from app.ai.tool_outcomes import budget_exceeded
from app.ai.tool_phase import ToolAnswer, ToolPhase


class AgentNode(
    BaseNode[GraphAgentState, GraphAgentDeps[Any, Any], FinalResult[Any]], Generic[AgentDepsT, OutputDataT]
):
    """One kind of work in the agent loop."""


@dataclass
class ModelRequestNode(AgentNode[AgentDepsT, OutputDataT]):
    """Asks the model."""

    request: ModelRequest
    is_resuming: bool = field(default=False, repr=False)
    """Whether the request is the last one of the history, which no response followed."""
    _next: CallToolsNode[AgentDepsT, OutputDataT] | None = field(default=None, init=False, repr=False, compare=False)
    _being_streamed: bool = field(default=False, init=False, repr=False, compare=False)
    _counted: bool = field(default=False, init=False, repr=False, compare=False)

    async def run(self, ctx: RunState) -> CallToolsNode[Any, Any]:
        if self._being_streamed:
            raise AgentRunError("Finish reading the stream of this node before running it")
        if self._next is None:
            handler = ctx.deps.event_reader
            self._next = await self._ask_model(ctx, handler and partial(read_with_handler, handler, ctx))
        return self._next

    @property
    def successor(self) -> CallToolsNode[AgentDepsT, OutputDataT] | None:
        """The next node, once the model has answered."""
        return self._next

    @asynccontextmanager
    async def stream(self, ctx: RunState) -> AsyncGenerator[AgentStream[AgentDepsT, OutputDataT]]:
        """Ask the model and read its response as it comes; what is left unread is read at the end of the block."""

        async def ask(read: ReadResponse) -> ModelResponse:
            self._next = await self._ask_model(ctx, read)
            return self._next.model_response

        self._being_streamed = True
        async with open_agent_stream(ask, partial(self._agent_stream, ctx), CompletedStreamedResponse.of) as stream:
            yield stream
        self._being_streamed = False

    def _agent_stream(
        self, ctx: RunState, response: StreamedResponse, finish: Callable[[], Awaitable[ModelResponse]]
    ) -> AgentStream[AgentDepsT, OutputDataT]:
        deps = ctx.deps
        output = ResponseOutput(
            maker=deps.outputs,
            manager=deps.tool_manager,
            ctx=output_context(ctx),
        )
        return AgentStream(response, output, deps.usage_limits, finish)

    async def _ask_model(self, ctx: RunState, read: ReadResponse | None) -> CallToolsNode[Any, Any]:
        pending = await self._begin_step(ctx)
        run_context = build_run_context(ctx)
        prepared, response = await ctx.deps.steps.model_request(
            run_context,
            partial(prepare_request, ctx, run_context, self.request, pending),
            partial(self._send, ctx, run_context, read),
        )
        ctx.state.max_tokens = (prepared.model_settings or {}).get("max_tokens")
        _keep_prepared(ctx, prepared)
        return self._finish_step(ctx, prepared, response)

    async def _begin_step(self, ctx: RunState) -> list[ModelMessage]:
        """Make the request the newest message. What is pending comes after it, once it is prepared."""
        state, deps = ctx.state, ctx.deps
        state.run_step += 1
        if not self.is_resuming:
            self.request = stamp_request(self.request, state)
        state.message_history.append(self.request)
        pending = await take_pending(ctx, ending=False)
        deps.tool_manager = await deps.tool_manager.for_run_step(build_run_context(ctx))
        deps.usage_limits.check_before_request(state.usage)
        return pending

    async def _send(
        self,
        ctx: RunState,
        run_context: RunContext[Any],
        read: ReadResponse | None,
        prepared: PreparedRequest,
    ) -> ModelResponse:
        assert prepared.parameters is not None, "a replayed request is not sent"
        # What was prepared is in the history already while the answer is on its way.
        _keep_prepared(ctx, prepared)
        if prepared.retry is not None:
            return ModelResponse([])
        model = prepared.model or ctx.deps.model
        request = ModelRequestContext(
            model, list(ctx.state.message_history), prepared.model_settings, prepared.parameters
        )
        run_context = replace(run_context, model_settings=prepared.model_settings)
        ask = partial(self._request, ctx, run_context, read)
        if not ctx.deps.capability.capabilities:
            response = await ask(request)
        else:
            response, retry = await model_request(ctx.deps.capability, run_context, request, ask, prepared.answer)
            prepared.retry = retry and retry.message
        # What is recorded of a call is found by its id, so a record must never hold two calls with one id.
        return with_unique_call_ids(response) if ctx.deps.steps.records else response

    async def _request(
        self, ctx: RunState, run_context: RunContext[Any], read: ReadResponse | None, request: ModelRequestContext
    ) -> ModelResponse:
        model, settings, parameters = request.model, request.model_settings, request.model_request_parameters
        messages = messages_to_send(model, request.messages)
        if read is None or not ctx.deps.steps.streams(model):
            return await model.request(messages, settings, parameters)
        async with model.request_stream(messages, settings, parameters, run_context) as stream:
            self._count_request(ctx)
            await read(run_context, stream)
            return stream.get()

    def _finish_step(
        self, ctx: RunState, prepared: PreparedRequest, response: ModelResponse
    ) -> CallToolsNode[Any, Any]:
        state = ctx.state
        self.request = prepared.message
        response = replace(
            ctx.deps.tool_manager.with_kinds(response),
            run_id=response.run_id or state.run_id,
            conversation_id=response.conversation_id or state.conversation_id,
        )
        # Hooks that want a retry before there is an answer leave an empty one, which nobody needs to see.
        if response.parts or prepared.retry is None:
            state.message_history.append(response)
            self._count_request(ctx)
            state.usage.incr(response.usage)
            ctx.deps.usage_limits.check_tokens(state.usage)
        return CallToolsNode(response, retry=prepared.retry)

    def _count_request(self, ctx: RunState) -> None:
        # A streamed request counts from the moment the stream opens; a replayed one was not sent at all.
        if not self._counted:
            self._counted = True
            ctx.state.usage.requests += 1


def _keep_prepared(ctx: RunState, prepared: PreparedRequest) -> None:
    """Put the request as it was prepared into the history. Doing it again changes nothing more."""
    if prepared.history is not None:
        ctx.state.message_history[:-1] = prepared.history
    ctx.state.message_history[-1] = prepared.message


@dataclass
class CallToolsNode(AgentNode[AgentDepsT, OutputDataT]):
    """Answers the tool calls of a response, or takes its text as the output."""

    model_response: ModelResponse
    tool_call_results: Mapping[str, ToolAnswer] | None = field(default=None, kw_only=True, repr=False)
    """What a resumed run was given for the open calls, by id."""
    tool_call_metadata: Mapping[str, Any] | None = field(default=None, kw_only=True, repr=False)
    user_prompt: str | Sequence[UserContent] | None = field(default=None, kw_only=True, repr=False)
    """A prompt to send with the answers."""
    retry: str | None = field(default=None, kw_only=True, repr=False)
    """Why hooks found the response not good enough."""
    _next: ModelRequestNode[AgentDepsT, OutputDataT] | End[FinalResult[OutputDataT]] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    async def run(self, ctx: RunState) -> ModelRequestNode[Any, Any] | End[FinalResult[Any]]:
        if self._next is None:
            handler = ctx.deps.event_reader
            if handler is None:
                self._next = await self._go_on(ctx, ignore_event)
            else:
                async with feed_handler(handler, build_run_context(ctx)) as emit:
                    self._next = await self._go_on(ctx, emit)
        return self._next

    @asynccontextmanager
    async def stream(self, ctx: RunState) -> AsyncGenerator[EventStream[AgentStreamEvent]]:
        """Answer the tool calls and read the events; what is left unread is read at the end of the block."""

        async def produce(emit: Emit) -> None:
            if self._next is None:
                self._next = await self._go_on(ctx, emit)

        async with EventStream[AgentStreamEvent](produce, in_step=True) as events:
            yield events
            await drain(events)

    async def _go_on(self, ctx: RunState, emit: Emit) -> ModelRequestNode[Any, Any] | End[FinalResult[Any]]:
        response = self.model_response
        if self.retry is not None:
            return self._retry(ctx, *retry_parts(response, self.retry))
        for event in native_tool_events(response):
            await emit(event)
        if response.tool_calls:
            return await self._answer_calls(ctx, emit)
        has_content = any(not isinstance(part, ThinkingPart) for part in response.parts)
        if not has_content and (settled := await self._settle_without_content(ctx)):
            return settled
        image = next(iter(response.images), None)
        if ctx.deps.output_schema.allows_image and image is not None:
            return await self._end_with(ctx, ctx.deps.outputs.of_value(image, output_context(ctx)))
        text = text_of(response)
        processor = ctx.deps.output_schema.text_processor(ctx.deps.model.profile)
        if text and processor is not None:
            return await self._end_with(ctx, ctx.deps.outputs.of_text(processor, text, output_context(ctx)))
        return self._retry(ctx, RetryPromptPart(no_action(_possible_actions(ctx))))

    # Tool calls

    async def _answer_calls(self, ctx: RunState, emit: Emit) -> ModelRequestNode[Any, Any] | End[FinalResult[Any]]:
        phase = self._tool_phase(ctx, emit)
        await phase.run()
        if phase.final_result is not None:
            return _end(ctx, phase.final_result, phase.parts)
        if phase.deferred.calls or phase.deferred.approvals:
            return self._end_deferred(ctx, phase)
        prompt = [UserPromptPart(self.user_prompt)] if self.user_prompt is not None else []
        return ModelRequestNode(ModelRequest([*phase.parts, *prompt]))

    async def settle_streamed(self, ctx: RunState, result: FinalResult[Any]) -> FinalResult[Any]:
        """Answer the tool calls of a response whose output was taken from its stream. The result of the run."""
        if not self.model_response.tool_calls:
            return result
        phase = self._tool_phase(ctx, ignore_event)
        phase.final_result = result
        if isinstance(result.output, DeferredToolRequests):
            # Functions that are called beside may defer their calls, too.
            phase.deferred = result.output
        await phase.run()
        return _end(ctx, result, phase.parts).data

    def _end_deferred(self, ctx: RunState, phase: ToolPhase) -> End[FinalResult[Any]]:
        if not (ctx.deps.output_schema.allows_deferred_tools or ctx.deps.steps.may_wait):
            raise UserError(DEFERRED_NOT_ALLOWED)
        return _end(ctx, FinalResult(phase.deferred), phase.parts)

    def _tool_phase(self, ctx: RunState, emit: Emit) -> ToolPhase:
        deps = ctx.deps
        return ToolPhase(
            response=self.model_response,
            manager=deps.tool_manager,
            ctx=build_run_context(ctx),
            steps=deps.steps,
            outputs=deps.outputs,
            end_strategy=deps.end_strategy,
            usage=ctx.state.usage,
            usage_limits=deps.usage_limits,
            emit=emit,
            answers=self.tool_call_results,
            answers_metadata=self.tool_call_metadata or {},
            capability=deps.capability,
        )

    # Responses without tool calls

    async def _settle_without_content(self, ctx: RunState) -> ModelRequestNode[Any, Any] | End[FinalResult[Any]] | None:
        """What to do with an empty response, or with one that only thinks; None if nothing special."""
        response = self.model_response
        if response.finish_reason == "length":
            raise token_limit_reached(response, ctx.state.max_tokens)
        if not response.parts:
            if response.finish_reason == "content_filter":
                raise content_filtered(response)
            if ctx.deps.output_schema.allows_none:
                return await self._end_with(ctx, ctx.deps.outputs.of_value(None, output_context(ctx)))
        processor = ctx.deps.output_schema.text_processor(ctx.deps.model.profile)
        if processor is not None and (text := self._earlier_text(ctx)):
            # If it is no output, it was not meant as one.
            with suppress(ValidationError, ModelRetry):
                output = await ctx.deps.outputs.of_text(processor, text, output_context(ctx))
                return _end(ctx, FinalResult(output), [])
        return None if response.parts else self._retry(ctx)

    def _earlier_text(self, ctx: RunState) -> str | None:
        """What the model said last, most often beside tool calls; it may think that this was its answer."""
        messages = reversed(ctx.state.message_history)
        texts = (text_of(message) for message in messages if isinstance(message, ModelResponse))
        return next((text for text in texts if text), None)

    async def _end_with(
        self, ctx: RunState, output: Awaitable[Any]
    ) -> ModelRequestNode[Any, Any] | End[FinalResult[Any]]:
        try:
            return _end(ctx, FinalResult(await output), [])
        except (ValidationError, ModelRetry) as err:
            return self._retry(ctx, RetryPromptPart(describe_problem(err)), cause=err)

    def _retry(
        self, ctx: RunState, *parts: RetryPromptPart, cause: Exception | None = None
    ) -> ModelRequestNode[Any, Any]:
        """Ask again; without parts, the same conversation once more."""
        budget = ctx.deps.max_output_retries
        if ctx.state.output_retries_used >= budget:
            raise budget_exceeded(output_retries_exceeded(budget), self.model_response) from cause
        ctx.state.output_retries_used += 1
        return ModelRequestNode(ModelRequest(list(parts)))


def _end(ctx: RunState, result: FinalResult[Any], parts: list[ModelRequestPart]) -> End[FinalResult[Any]]:
    if parts:
        # The history can be continued only if every call in it is answered.
        ctx.state.message_history.append(stamp_request(ModelRequest(parts), ctx.state))
    return End(result)


def _possible_actions(ctx: RunState) -> list[str]:
    schema, profile = ctx.deps.output_schema, ctx.deps.model.profile
    actions: list[str] = []
    if schema.text_processor(profile) is not None:
        actions.append("return text")
    if schema.toolset is not None and not (schema.mode == "auto" and actions):
        actions.append("include your response in a tool call")
    elif any(definition.kind != "output" for definition in ctx.deps.tool_manager.tool_defs):
        actions.append("call a tool")
    if schema.allows_image:
        actions.append("return an image")
    return actions
