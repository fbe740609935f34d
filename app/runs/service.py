"""The verbs on runs. The API, and whatever else faces clients, calls only these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.ai.ids import uuid7
from app.db import idempotency, resuming, runs
from app.db.idempotency import Claim
from app.durable.client import NewRun, RunClient
from app.durable.inputs import HistoryLink, RunInput
from app.durable.names import RUN_QUEUE
from app.errors import BusyConversation
from app.runs import refusals
from app.runs.approvals import Approvals
from app.runs.feed import EventFeed
from app.runs.keys import ANYBODY, Caller, Keys
from app.runs.reach import answers_in_time
from app.runs.reading import RunReader, read_run, unfinished
from app.runs.records import AgentInfo, Run
from app.runs.requests import StartRun


@dataclass(frozen=True)
class Started:
    """A run, and whether an earlier request with the same key had started it."""

    run: Run
    replayed: bool


@dataclass(frozen=True)
class Limits:
    """Limits of requests: the prompt in bytes of JSON, and how long an idempotency key is kept."""

    prompt_bytes: int
    key_lifetime: timedelta


class RunService(RunReader):
    """Start, get, wait, list, follow, cancel, resume and delete runs; `approvals` has what they wait for."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        client: RunClient,
        feed: EventFeed,
        agents: Mapping[str, AgentInfo],
        limits: Limits,
        is_migrated: Callable[[], bool],
    ) -> None:
        super().__init__(engine, feed, is_migrated=is_migrated)
        self._client = client
        self._limits = limits
        self.agents = agents
        self.approvals = Approvals(engine)
        self.keys = Keys(engine)

    def agent(self, name: str) -> AgentInfo:
        """What clients may know about an agent."""
        if name not in self.agents:
            raise refusals.unknown_agent(name, self.agents)
        return self.agents[name]

    @answers_in_time
    async def start(
        self, request: StartRun, *, idempotency_key: str | None = None, caller: Caller = ANYBODY
    ) -> Started:
        """Store the run and queue it, in one transaction; the same key and request of the same caller give the same
        run again."""
        agent = self._checked(request)
        run_id = str(uuid7())
        try:
            async with self._engine.begin() as connection:
                if idempotency_key is not None:
                    wanted = Claim(idempotency_key, request.fingerprint(), run_id, api_key_id=caller.key_id)
                    held = await idempotency.claim(connection, wanted, kept_for=self._limits.key_lifetime)
                    if held != wanted:
                        return Started(await _replayed(connection, wanted, held), replayed=True)
                await self._enqueue(connection, run_id, agent, request)
                return Started(await read_run(connection, run_id), replayed=False)
        except BusyConversation as error:
            if error.run_id or request.conversation_id is None:
                raise
            # Noticed by DBOS, for a run that was not there yet when we looked. Its error has ended the transaction.
            async with self._engine.connect() as connection:
                members = await runs.conversation_runs(connection, request.conversation_id)
            raise BusyConversation(unfinished(members)) from error

    @answers_in_time
    async def cancel(self, run_id: str) -> Run:
        """Stop the run; a model call in flight ends within a second. A cancelled run stays as it is."""
        run = await self.get(run_id)
        if not run.is_finished:
            await self._client.cancel(run_id)
            run = await self.get(run_id)
        # A run that finished in between was not cancelled, and its client has to know.
        if run.status in ("succeeded", "failed"):
            raise refusals.run_finished(run)
        return run

    @answers_in_time
    async def resume(self, run_id: str) -> Run:
        """Let a failed or cancelled run go on from where it stopped: finished steps are not done again."""
        run = await self.get(run_id)
        match await resuming.resume(self._engine, run_id, queue=RUN_QUEUE):
            case resuming.Resumed.enqueued:
                return await self.get(run_id)
            case resuming.Resumed.not_resumable:
                raise refusals.run_not_resumable(await self.get(run_id))
            case resuming.Resumed.conversation_busy:
                async with self._engine.connect() as connection:
                    members = await runs.conversation_runs(connection, run.conversation_id or "")
                raise BusyConversation(unfinished(members))

    @answers_in_time
    async def delete(self, run_id: str) -> None:
        """Remove a finished run with everything it stored, unless an unfinished run reads it as history."""
        run = await self.get(run_id)
        if not run.is_finished:
            raise refusals.run_not_finished(run)
        async with self._engine.begin() as connection:
            if busy := unfinished(await runs.conversation_runs(connection, run.conversation_id or "")):
                raise refusals.run_is_history(run_id, busy)
            # First ours, then DBOS's: a crash in between leaves a run that can be deleted again.
            await runs.delete_traces(connection, run_id)
        await self._client.delete([run_id])

    def _checked(self, request: StartRun) -> AgentInfo:
        if request.agent not in self.agents:
            raise refusals.unknown_agent(request.agent, self.agents, in_body=True)
        size = len(json.dumps(request.prompt_json(), ensure_ascii=False).encode())
        if size > self._limits.prompt_bytes:
            raise refusals.prompt_too_large(size, self._limits.prompt_bytes)
        return self.agents[request.agent]

    async def _enqueue(self, connection: AsyncConnection, run_id: str, agent: AgentInfo, request: StartRun) -> None:
        conversation_id = request.conversation_id or str(uuid7())
        earlier: Sequence[runs.ConversationRun] = ()
        if request.conversation_id is not None:
            earlier = await runs.conversation_runs(connection, conversation_id)
            if not earlier:
                raise refusals.unknown_conversation(conversation_id)
            if busy := unfinished(earlier):
                raise BusyConversation(busy)
        run = RunInput(
            agent=agent.name,
            agent_version=agent.version,
            prompt=request.prompt_json(),
            conversation_id=conversation_id,
            history=[HistoryLink(run_id=run.run_id, through_step=run.last_step) for run in earlier],
            model=request.model,
            model_settings=request.settings_json(),
            usage_limits=request.limits(),
            metadata=request.metadata,
        )
        await self._client.enqueue(connection, NewRun(run_id=run_id, input=run, timeout_seconds=request.timeout))


async def _replayed(connection: AsyncConnection, wanted: Claim, held: Claim) -> Run:
    if held.request_hash != wanted.request_hash:
        raise refusals.idempotency_key_reused(held.run_id)
    row = await runs.find_run(connection, held.run_id)
    if row is None:
        raise refusals.run_of_key_deleted(held.run_id)
    return Run.of(row)
