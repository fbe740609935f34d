"""One tool call, and what its server wants to know before it answers.

protocol      the server asks                     roots     a model                     a person
2026-07-28    instead of answering; the call      at once   in a durable run once the   the call is deferred and goes
              is sent again with the answers                call is deferred, else      on with its answers
                                                            at once
2025-11-25    while the call is open              at once   at once                     is told `cancel`; the call is
                                                                                        made again with the answers
A callback for questions answers them at once, whoever asks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from app.ai.deferred import OUTCOME_UNKNOWN
from app.ai.exceptions import CallDeferred, ModelRetry
from app.ai.mcp.errors import MCPCallLost
from app.ai.mcp.questions import INPUT, Answered, CallState, Question, question_of
from app.ai.mcp.sampling import Sampled, Sampling, SamplingRefused, sampling_result

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from mcp import Client
    from mcp.client.session import ClientRequestContext, ElicitationFnT
    from mcp_types import (
        CallToolResult,
        CreateMessageRequestParams,
        CreateMessageResult,
        ElicitRequestParams,
        ElicitResult,
        ErrorData,
        InputRequest,
        InputRequiredResult,
        InputResponse,
        InputResponses,
        ListRootsResult,
    )


logger = logging.getLogger(__name__)

_MAX_ROUNDS = 10
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class Host:
    """What a run offers to the calls that are made in it: it can wait, and it keeps what a model was asked."""

    repeatable: bool
    """Whether the call may simply be made again."""
    sampled: Sampled
    """Told of each answer of a model that was given while the call was open."""


@dataclass(frozen=True)
class Means:
    """Who answers what the server asks; None: it is not told that it may ask."""

    elicitation: ElicitationFnT | None = None
    sampling: Sampling | None = None
    roots: tuple[str, ...] | None = None
    may_wait: bool = False
    """Whether questions that no callback answers can wait for a person."""

    @property
    def offers(self) -> frozenset[str]:
        """What the server is told that it may ask for."""
        offered = {
            "elicitation": self.elicitation is not None or self.may_wait,
            "sampling": self.sampling is not None,
            "roots": self.roots is not None,
        }
        return frozenset(name for name, there in offered.items() if there)


_host: ContextVar[Host | None] = ContextVar("_host", default=None)
_current: ContextVar[Exchange | None] = ContextVar("_current", default=None)


@contextmanager
def hosted_by(host: Host) -> Generator[None]:
    """Let calls that are made inside the block be deferred until somebody has answered."""
    token = _host.set(host)
    try:
        yield
    finally:
        _host.reset(token)


def current_host() -> Host | None:
    """The run around the code that asks, if it can wait."""
    return _host.get()


class Send(Protocol):
    """Sends the call, with the answers to what was asked before."""

    def __call__(
        self, client: Client, responses: InputResponses | None, state: str | None, /
    ) -> Awaitable[CallToolResult | InputRequiredResult]: ...


@dataclass
class Exchange:
    """What is asked and answered in the course of one call."""

    tool: str
    means: Means
    sampled: Sampled
    """Told of each answer of a model."""
    patience: float
    """Seconds that a server may say `not yet` for."""
    state: CallState = field(default_factory=CallState)
    key: str | None = None
    """The call's idempotency key."""
    host: Host | None = field(default_factory=current_host)
    questions: dict[str, Question] = field(default_factory=dict[str, Question])
    """Those that nobody could answer yet."""

    def __post_init__(self) -> None:
        # Each is given once: a server may ask the same thing twice.
        self._answered = list(self.state.get("answered", []))
        self._samplings = self.state.get("samplings", 0)

    async def run(self, client: Client, send: Send) -> CallToolResult:
        """Call, and answer what is asked in return, until there is a result.

        Raises CallDeferred if somebody has to be asked first.
        """
        from mcp_types import InputRequiredResult

        token = _current.set(self)
        try:
            result = await send(client, self._first_responses(), self.state.get("request_state"))
            rounds, pause, patient_until = 0, _FIRST_PAUSE, asyncio.get_running_loop().time() + self.patience
            while isinstance(result, InputRequiredResult):
                responses = None
                if result.input_requests:
                    rounds += 1
                    responses = await self._respond(client, result, rounds)
                elif asyncio.get_running_loop().time() < patient_until:
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)
                else:
                    raise MCPCallLost(self.tool, "timeout", f"not done within {self.patience:g} s")
                result = await send(client, responses, result.request_state)
            return result
        finally:
            _current.reset(token)

    def defer_if_asked(self, said: str) -> None:
        """After an open call in which questions were put off: have it made again with the answers.

        `said` is what the server made of it. Raises CallDeferred.
        """
        if not self.questions or self.host is None:
            return
        state = CallState(answered=self._used())
        if self.host.repeatable:
            raise CallDeferred(self._metadata(INPUT, state))
        # The server went on as if the question was dismissed; whether it may start again is for a person to say.
        raise CallDeferred({**self._metadata(OUTCOME_UNKNOWN, state), "said": said})

    # What servers ask while a call is open

    async def elicit(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult | ErrorData:
        """Answer a question of the call, or note it and dismiss it."""
        from mcp_types import ElicitResult

        if self.means.elicitation is not None:
            return await self.means.elicitation(context, params)
        question = question_of(params)
        for answered in self._answered:
            if answered["question"] == question:
                self._answered.remove(answered)
                return ElicitResult(**answered["answer"])
        self.questions[str(len(self.questions) + 1)] = question
        return ElicitResult(action="cancel")

    async def sample(self, params: CreateMessageRequestParams) -> CreateMessageResult | ErrorData:
        """Let the model answer; a failure is for the server to deal with."""
        from mcp_types import INTERNAL_ERROR, INVALID_REQUEST, ErrorData

        try:
            return await self._sample(params)
        except SamplingRefused as refused:
            return ErrorData(code=INVALID_REQUEST, message=str(refused))
        except Exception as error:
            logger.exception("A model could not answer the MCP tool %r", self.tool)
            return ErrorData(code=INTERNAL_ERROR, message=f"The model failed: {type(error).__name__}")

    async def _sample(self, params: CreateMessageRequestParams) -> CreateMessageResult:
        sampling = self._counted()
        response = await sampling.ask(params)
        self.sampled(params, response)
        return sampling_result(response)

    def _counted(self) -> Sampling:
        sampling = self.means.sampling
        if sampling is None:
            raise SamplingRefused("This client lets servers ask no model.")
        self._samplings += 1
        sampling.check_count(self._samplings)
        return sampling

    # What servers ask in place of an answer

    def _first_responses(self) -> InputResponses | None:
        given = self.state.get("responses")
        return None if given is None else {name: _response(answer) for name, answer in given.items()}

    async def _respond(self, client: Client, asked: InputRequiredResult, rounds: int) -> InputResponses:
        if rounds > _MAX_ROUNDS:
            raise ModelRetry(f"The tool {self.tool!r} did not answer: it asked for more {rounds} times in a row.")
        responses: InputResponses = {}
        sampling: dict[str, Any] = {}
        try:
            for name, request in (asked.input_requests or {}).items():
                response = await self._answer(client, name, request, sampling)
                if response is not None:
                    responses[name] = response
        except SamplingRefused as refused:
            raise ModelRetry(f"The tool {self.tool!r} did not answer: {refused}") from refused
        if not self.questions and not sampling:
            return responses
        given = {name: response.model_dump(**_JSON) for name, response in responses.items()}
        state = CallState(request_state=asked.request_state, responses=given)
        if sampling:
            state |= CallState(sampling=sampling, samplings=self._samplings)
        raise CallDeferred(self._metadata(INPUT, state))

    async def _answer(
        self, client: Client, name: str, request: InputRequest, sampling: dict[str, Any]
    ) -> InputResponse | None:
        """The answer to one request; None if it was noted down for later."""
        match request.method:
            case "roots/list":
                return roots_result(self.means.roots or ())
            case "sampling/createMessage" if self.host is not None:
                self._counted()
                sampling[name] = request.params.model_dump(**_JSON)
                return None
            case "sampling/createMessage":
                return await self._sample(request.params)
            case "elicitation/create":
                return await self._ask_person(client, name, request.params)

    async def _ask_person(self, client: Client, name: str, params: ElicitRequestParams) -> ElicitResult | None:
        from mcp.client.session import ClientRequestContext
        from mcp.shared.exceptions import MCPError
        from mcp_types import ElicitResult, ErrorData

        if self.means.elicitation is None:
            if self.host is None:
                return ElicitResult(action="cancel")
            self.questions[name] = question_of(params)
            return None
        context = ClientRequestContext(session=client.session, request_id=name, meta=params.meta)
        answer = await self.means.elicitation(context, params)
        if isinstance(answer, ErrorData):
            raise MCPError.from_error_data(answer)
        return answer

    def _metadata(self, waiting_for: str, state: CallState) -> dict[str, Any]:
        return {
            "waiting_for": waiting_for,
            "idempotency_key": self.key,
            "questions": self.questions,
            "mcp": state,
        }

    def _used(self) -> list[Answered]:
        """All earlier answers: the next call asks for them again."""
        return list(self.state.get("answered", []))


_JSON: Mapping[str, Any] = {"mode": "json", "by_alias": True, "exclude_none": True}


def exchange_of_request(open_calls: list[Exchange]) -> Exchange | None:
    """The call in whose course a server's request came, if that can be told.

    Over HTTP it comes in the call's own stream, which runs in the call's context. Over stdio nothing tells more than
    that exactly one call is under way.
    """
    current = _current.get()
    if current is not None:
        return current
    return open_calls[0] if len(open_calls) == 1 else None


def roots_result(roots: tuple[str, ...]) -> ListRootsResult:
    """The folders that a server may work in, as it is told of them."""
    from mcp_types import ListRootsResult, Root

    return ListRootsResult(roots=[Root(uri=uri) for uri in roots])  # pyright: ignore[reportArgumentType]  # checked by it


def _response(answer: Mapping[str, Any]) -> InputResponse:
    from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult

    kinds = {"action": ElicitResult, "roots": ListRootsResult}
    kind = next((kind for name, kind in kinds.items() if name in answer), CreateMessageResult)
    return kind.model_validate(answer)
