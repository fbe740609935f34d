"""Letting an event stream handler read a model's response."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from app.ai.event_stream import EventStreamHandler, drain
from app.ai.messages import AgentStreamEvent
from app.ai.models import StreamedResponse
from app.ai.run_context import RunContext
from app.ai.run_state import RunState


async def read_with_handler(
    handler: EventStreamHandler[Any], run: RunState, ctx: RunContext[Any], response: StreamedResponse
) -> None:
    """Let the handler read the response; what it leaves unread is read after it."""
    events = _within_limits(response, run)
    await handler(ctx, events)
    await drain(events)


async def _within_limits(response: StreamedResponse, ctx: RunState) -> AsyncIterator[AgentStreamEvent]:
    """The events of a response, for as long as it keeps to the limits on tokens."""
    limits = ctx.deps.usage_limits
    async for event in response:
        if limits.has_token_limits():
            limits.check_tokens(ctx.state.usage + response.usage())
        yield event
