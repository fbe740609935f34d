"""Tool calls as steps: `DurableToolset` stands between the agent loop and each leaf toolset. [replay-sensitive]"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.deferred import OUTCOME_UNKNOWN
from app.ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry
from app.ai.instrumentation.marks import mark_step
from app.ai.mcp import MCPCallLost, MCPServer, MCPServerUnavailable, on_progress
from app.ai.mcp.exchange import Host, hosted_by
from app.ai.messages import (
    FunctionToolCallEvent,
    FunctionToolResultEvent,
    InstructionPart,
    RetryPromptPart,
    ToolCallPart,
    ToolReturn,
    ToolReturnPart,
)
from app.ai.run_context import RunContext
from app.ai.steps import Steps, use_steps
from app.ai.tools import ToolDefinition
from app.ai.toolsets import AbstractToolset, ExternalToolset, ToolsetTool, WrapperToolset
from app.ai.usage import RunUsage
from app.db import tool_definitions
from app.durable import envelopes, names
from app.durable.events import Event, StepEvents
from app.durable.failures import OutcomeUnknown, RunError
from app.durable.journal import Envelope, StepPlan, failure_of
from app.durable.serializer import dumps, sanitized, to_json
from app.durable.steps import DurableSteps

T = TypeVar("T")

UNREACHABLE_PAUSES: Final = (0.5, 2.0)
"""Seconds between the tries to reach an MCP server."""

MAX_RECORDED_DEFINITIONS: Final = 8 * 1024
"""Characters of JSON that a listing may have to be part of each run's record."""

_definitions: TypeAdapter[list[ToolDefinition]] = TypeAdapter(list[ToolDefinition])
_call_event: TypeAdapter[FunctionToolCallEvent] = TypeAdapter(FunctionToolCallEvent)


def durable_toolset(leaf: AbstractToolset[Any], steps: DurableSteps) -> AbstractToolset[Any]:
    """The recording layer for a leaf toolset; tools answered outside the run need none."""
    if isinstance(leaf, ExternalToolset):
        return leaf
    return DurableMCPToolset(leaf, steps) if isinstance(leaf, MCPServer) else DurableToolset(leaf, steps)


@dataclass
class KnownTools(WrapperToolset[Any]):
    """Remembers the definitions of a run's tools: what a person answers for a call is checked against them."""

    steps: DurableSteps

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        tools = await super().get_tools(ctx)
        self.steps.tools |= {name: tool.tool_def for name, tool in tools.items()}
        return tools


@dataclass
class DurableToolset(WrapperToolset[Any]):
    """Records each call. A call that was lost is repeated if the tool is idempotent, otherwise deferred as unknown."""

    steps: DurableSteps
    kind = "tool"

    @property
    def id(self) -> str | None:
        return self.wrapped.id

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        plan = self._plan(name, tool_args, ctx, tool)
        key = self.steps.idempotency_key(plan)
        performed: list[StepEvents] = []

        async def call(events: StepEvents) -> Envelope:
            performed.append(events)
            try:
                with self._surroundings(events, plan, ctx), _delegating(plan, ctx.usage) as usage:
                    own = replace(ctx, idempotency_key=key, usage=usage)
                    value = await self._call(name, tool_args, own, tool)
                outcome = envelopes.returned(value)
            except (ModelRetry, CallDeferred, ApprovalRequired) as signal:
                value, outcome = signal, envelopes.control_flow(signal)
            _emit_result(events, name, ctx, value)
            return outcome

        try:
            envelope = await self.steps.journal.perform(plan, call)
        except OutcomeUnknown:
            # The key is what a person needs to find out what became of the call.
            raise CallDeferred(metadata={"waiting_for": OUTCOME_UNKNOWN, "idempotency_key": key}) from None
        mark_step(plan.step, envelope["attempt"], replayed=not performed)
        self._recorded(envelope)
        ctx.usage.incr(envelopes.sampled_usage(envelope))
        ctx.usage.incr(envelopes.delegated_usage(envelope))
        if (failure := failure_of(envelope)) is not None:
            raise failure
        return envelopes.read_result(envelope)

    async def _call(self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> Any:
        # An agent that a tool runs is part of this step: its own requests and calls must not draw steps of the run.
        with use_steps(Steps()):
            return await self.wrapped.call_tool(name, tool_args, ctx, tool)

    def _surroundings(self, events: StepEvents, plan: StepPlan, ctx: RunContext[Any]) -> AbstractContextManager[None]:
        """What a call finds around it."""
        return nullcontext()

    def _recorded(self, envelope: Envelope) -> None:
        """See what a call's record says, of now or of an earlier execution."""

    def _plan(self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> StepPlan:
        args = to_json(tool_args)
        label = names.mcp_step(name) if self.kind == "mcp" else names.tool_step(name)
        return StepPlan(
            self.steps.reserved(ctx.tool_call_id),
            label,
            self.kind,
            repeatable=tool.idempotent,
            tool_call_id=ctx.tool_call_id,
            input=args,
            head={
                "toolset": self.wrapped.id,
                "tool": name,
                "tool_call_id": ctx.tool_call_id,
                "args": args,
            },
            first_events=[_called(name, args, ctx)],
        )


@dataclass
class DurableMCPToolset(DurableToolset):
    """Also records the listing of a server's tools, once a run and again when they changed: a replay asks no server."""

    kind = "mcp"

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        if self._label not in self.steps.listed_tools:
            self.steps.listed_tools[self._label] = await self._list(self._server, self._label, ctx)
        listed = self.steps.listed_tools[self._label]
        if "definitions" in listed:
            listed["result"] = await self._found(listed.pop("definitions"))
        definitions = _definitions.validate_python(listed["result"])
        return {definition.name: self._server.tool_for_tool_def(definition) for definition in definitions}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        self.steps.sampling[ctx.tool_call_id or ""] = self._server.sampling
        return await super().call_tool(name, tool_args, ctx, tool)

    async def _call(self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]) -> Any:
        call = partial(super()._call, name, tool_args, ctx, tool)
        try:
            return await _once_reachable(call)
        except MCPCallLost as lost:
            if not tool.idempotent:
                raise OutcomeUnknown(name) from lost
        return await _once_reachable(call)

    async def get_instructions(self, ctx: RunContext[Any]) -> InstructionPart | None:
        listed = self.steps.listed_tools.get(self._label, {})
        text = listed.get("instructions") if self._server.include_instructions else None
        return InstructionPart(text) if text else None

    @contextmanager
    def _surroundings(self, events: StepEvents, plan: StepPlan, ctx: RunContext[Any]) -> Generator[None]:
        """What a call tells of its progress becomes events of its step, what it asks a model part of its record."""
        call = {"tool_name": plan.head["tool"], "tool_call_id": ctx.tool_call_id}
        progress = on_progress(lambda progress: events.emit("tool_progress", {**call, **asdict(progress)}))
        before = self._server.tool_changes
        try:
            with progress, hosted_by(Host(plan.repeatable, partial(envelopes.add_sampled, plan.head))):
                yield
        finally:
            if self._server.tool_changes != before:
                plan.head["tools_changed"] = True

    def _recorded(self, envelope: Envelope) -> None:
        # Whether to list anew is part of the record, so that a replay draws the same steps.
        if envelope.get("tools_changed"):
            self.steps.listed_tools.pop(self._label, None)

    @property
    def _server(self) -> MCPServer:
        assert isinstance(self.wrapped, MCPServer)
        return self.wrapped

    @property
    def _label(self) -> str:
        return self._server.id or self._server.label

    @property
    def _engine(self) -> AsyncEngine:
        return self.steps.journal.instruments.engine

    async def _kept(self, definitions: Any) -> Envelope:
        """What the record says of the definitions: themselves, or where they are kept."""
        as_json = dumps(sanitized(definitions)[0])
        if len(as_json) <= MAX_RECORDED_DEFINITIONS:
            return {"result": definitions}
        return {"definitions": await tool_definitions.keep(self._engine, as_json)}

    async def _found(self, name: str) -> Any:
        try:
            return await tool_definitions.find(self._engine, name)
        except LookupError as missing:
            message = f"The tools that {self._label!r} had are gone from holdfast.tool_definitions; start a new run."
            raise RunError("ToolDefinitionsMissing", message) from missing

    async def _list(self, server: MCPServer, label: str, ctx: RunContext[Any]) -> Envelope:
        async def listing(_events: StepEvents) -> Envelope:
            # The connection that this opens also serves the calls, which can wait for somebody's answer.
            with hosted_by(Host(repeatable=True, sampled=_nothing_is_called)):
                tools = await _once_reachable(partial(server.get_tools, ctx))
            found = [tool.tool_def for tool in tools.values()]
            envelope: Envelope = {
                "outcome": "returned",
                **await self._kept(_definitions.dump_python(found, mode="json")),
            }
            if server.include_instructions:
                envelope["instructions"] = await _once_reachable(server.server_instructions)
            return envelope

        plan = StepPlan(
            self.steps.journal.reserve(), names.list_tools_step(label), "list_tools", head={"toolset": label}
        )
        envelope = await self.steps.journal.perform(plan, listing)
        if (failure := failure_of(envelope)) is not None:
            raise failure
        return envelope


async def _once_reachable(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a server, again after a pause while it cannot be reached: such a call was never carried out."""
    for pause in UNREACHABLE_PAUSES:
        try:
            return await ask()
        except MCPServerUnavailable:
            await asyncio.sleep(pause)
    return await ask()


@contextmanager
def _delegating(plan: StepPlan, usage: RunUsage) -> Generator[RunUsage]:
    """A usage of the call's own, for agents that it runs; what they use is part of its record, so that it lasts."""
    own = deepcopy(usage)
    before = deepcopy(own)
    try:
        yield own
    finally:
        envelopes.add_delegated(plan.head, before, own)


def _nothing_is_called(*_: Any) -> None:
    """A listing asks no model."""


def _called(name: str, args: Any, ctx: RunContext[Any]) -> Event:
    part = ToolCallPart(tool_name=name, args=args, tool_call_id=ctx.tool_call_id or "")
    data = _call_event.dump_python(FunctionToolCallEvent(part=part), mode="json")
    return {"type": data.pop("event_kind"), "data": data}


def _emit_result(events: StepEvents, name: str, ctx: RunContext[Any], value: Any) -> None:
    call_id = ctx.tool_call_id or ""
    if isinstance(value, ModelRetry):
        part = RetryPromptPart(content=value.message, tool_name=name, tool_call_id=call_id)
    elif isinstance(value, CallDeferred | ApprovalRequired):
        return
    else:
        content = value.return_value if isinstance(value, ToolReturn) else value
        part = ToolReturnPart(tool_name=name, content=content, tool_call_id=call_id)
    events.emit_stream_event(FunctionToolResultEvent(part=part))
