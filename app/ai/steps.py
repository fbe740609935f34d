"""The seam between the agent loop and durability: everything in a run that reaches outside it goes through `Steps`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from app.ai.messages import ModelMessage, ModelRequest, ModelResponse, ToolCallPart
    from app.ai.models import Model, ModelRequestParameters
    from app.ai.pending import PendingMessage
    from app.ai.run_context import RunContext
    from app.ai.run_state import GraphAgentState
    from app.ai.settings import ModelSettings
    from app.ai.toolsets import AbstractToolset

T = TypeVar("T")


@dataclass
class PreparedRequest:
    """A model request with everything that user code contributed to it."""

    message: ModelRequest
    """The newest request, stamped with instructions, ids and time."""
    model_settings: ModelSettings | None
    parameters: ModelRequestParameters | None
    """The tools and output of the request; None when the request comes from a record."""
    model: Model | None = None
    """The model to ask, if hooks chose another one than the run's."""
    history: list[ModelMessage] | None = None
    """What hooks made of the messages before this one, if they changed them."""
    answer: ModelResponse | None = None
    """What hooks answered in the model's place."""
    retry: str | None = None
    """Why hooks found the response not good enough; known once there is one."""


class Steps:
    """How a run performs what reaches outside it: this one just does it, `app.durable` records each piece."""

    run_id: str | None = None
    """The id that the run shall have; None makes a fresh one."""
    records: bool = False
    """Whether user code runs inside recorded steps, which on replay leave nothing behind but their result."""
    may_wait: bool = False
    """Whether deferred tool calls may end a run whose output type does not name them."""

    async def model_request(
        self,
        ctx: RunContext[Any],
        prepare: Callable[[], Awaitable[PreparedRequest]],
        send: Callable[[PreparedRequest], Awaitable[ModelResponse]],
    ) -> tuple[PreparedRequest, ModelResponse]:
        """Prepare one request and ask the model."""
        request = await prepare()
        return request, await send(request)

    def streams(self, model: Model) -> bool:
        """Whether a request is streamed when somebody handles its events."""
        return True

    def reserve(self, calls: Sequence[ToolCallPart]) -> None:
        """Learn which tool calls are about to be executed, in the order of the response."""

    async def sent_messages(self, state: GraphAgentState, *, ending: bool) -> list[PendingMessage]:
        """What was sent to the run from outside and goes with the next request; everything, if the run would end."""
        return []

    def wrap_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        """Put a recording layer around the toolset of a run."""
        return toolset

    async def callback(self, name: str, result_type: Any, body: Callable[[], Awaitable[T]]) -> T:
        """Run a user's function whose result decides what happens next."""
        return await body()


current_steps: ContextVar[Steps] = ContextVar("current_steps", default=Steps())  # noqa: B039 - the plain one has no state


@contextmanager
def use_steps(steps: Steps) -> Generator[None]:
    """Let runs that start inside the block perform their work through `steps`."""
    token = current_steps.set(steps)
    try:
        yield
    finally:
        current_steps.reset(token)
