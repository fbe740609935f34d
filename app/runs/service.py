"""The verbs on runs. The API, and whatever else faces clients, calls only these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.ai.ids import uuid7
from app.db import forking, idempotency, resuming, runs, sent_messages
from app.db.idempotency import Claim
from app.db.sent_messages import NewMessage
from app.durable.client import NewRun, RunClient
from app.durable.events import Notifier
from app.durable.inputs import HistoryLink, RunInput
from app.durable.names import RUN_QUEUE
from app.errors import BusyConversation
from app.runs import refusals
from app.runs.approvals import Approvals
from app.runs.arguments import check_deps
from app.runs.feed import EventFeed
from app.runs.keys import ANYBODY, Caller, Keys
from app.runs.reach import answers_in_time
from app.runs.reading import RunReader, read_run, unfinished
from app.runs.records import AgentInfo, Run, SentMessage
from app.runs.requests import ForkRun, SendMessage, StartRun
from app.runs.spec_agents import SpecAgents


@dataclass(frozen=True)
class Started:
    """A run, and whether an earlier request with the same key had started it."""

    run: Run
    replayed: bool


@dataclass(frozen=True)
class Sent:
    """A message to a run, and whether an earlier request with the same key had sent it."""

    message: SentMessage
    replayed: bool


@dataclass(frozen=True)
class Limits:
    """Limits of requests: the prompt in bytes of JSON, and how long an idempotency key is kept."""

    prompt_bytes: int
    key_lifetime: timedelta


class RunService(RunReader):
    """Start, get, wait, list, follow, cancel, resume, fork and delete runs, and send them messages; `approvals` has
    what they wait for."""

    def __init__(
        self,
        *,
        engine: AsyncEngine,
        client: RunClient,
        feed: EventFeed,
        agents: Mapping[str, AgentInfo],
        limits: Limits,
        is_migrated: Callable[[], bool],
        http_capabilities: Sequence[str] = (),
    ) -> None:
        super().__init__(engine, feed, is_migrated=is_migrated)
        self._client = client
        self._notifier = Notifier(engine)
        self._limits = limits
        self.agents = agents
        self.approvals = Approvals(engine)
        self.keys = Keys(engine)
        self.spec_agents = SpecAgents(engine, agents, http_capabilities)

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
        self._check_size(request.prompt_json(), field="prompt")
        run_id = str(uuid7())
        try:
            async with self._engine.begin() as connection:
                if idempotency_key is not None:
                    wanted = Claim(idempotency_key, request.fingerprint(), run_id, api_key_id=caller.key_id)
                    if (earlier := await self._earlier(connection, wanted)) is not None:
                        return Started(earlier, replayed=True)
                await self._enqueue(connection, run_id, request)
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
    async def fork(
        self, run_id: str, request: ForkRun, *, idempotency_key: str | None = None, caller: Caller = ANYBODY
    ) -> Started:
        """Start a run that takes over what another one did before some step, and goes its own way from there, in a
        conversation of its own."""
        fork_id = str(uuid7())
        async with self._engine.begin() as connection:
            if idempotency_key is not None:
                wanted = Claim(idempotency_key, request.fingerprint(run_id), fork_id, api_key_id=caller.key_id)
                if (earlier := await self._earlier(connection, wanted)) is not None:
                    return Started(earlier, replayed=True)
            source = await forking.find_source(connection, run_id)
            if source is None:
                raise refusals.unknown_run(run_id)
            step = await _first_own_step(connection, run_id, request, source.last_step)
            run = self._forked(source, request)
            await self._client.enqueue(connection, NewRun(run_id=fork_id, input=run, forked_at_step=step))
            await forking.copy_steps(connection, source_id=run_id, fork_id=fork_id, step=step)
            return Started(await read_run(connection, fork_id), replayed=False)

    @answers_in_time
    async def send(
        self, run_id: str, request: SendMessage, *, idempotency_key: str | None = None, caller: Caller = ANYBODY
    ) -> Sent:
        """Keep a message for a run that has not ended. The run takes it before a model request, once."""
        content = request.content_json()
        self._check_size(content, field="content")
        message = NewMessage(str(uuid7()), run_id, content, request.priority, sent_by=caller.name)
        async with self._engine.begin() as connection:
            if idempotency_key is not None:
                wanted = Claim(idempotency_key, request.fingerprint(run_id), run_id, caller.key_id, message.message_id)
                held = await idempotency.claim(connection, wanted, kept_for=self._limits.key_lifetime)
                if held != wanted:
                    return Sent(await _sent_before(connection, wanted, held), replayed=True)
            if (row := await sent_messages.store(connection, message)) is None:
                raise refusals.message_too_late(await read_run(connection, run_id))
        self._notifier.touch(run_id)
        return Sent(SentMessage.of(row), replayed=False)

    @answers_in_time
    async def delete(self, run_id: str) -> None:
        """Remove a finished run with everything it stored, unless an unfinished run reads it as history."""
        run = await self.get(run_id)
        if not run.is_finished:
            raise refusals.run_not_finished(run)
        async with self._engine.begin() as connection:
            members = await runs.conversation_runs(connection, run.conversation_id or "")
            if busy := unfinished(members) or await runs.unfinished_reader(connection, run_id):
                raise refusals.run_is_history(run_id, busy)
            # First ours, then DBOS's: a crash in between leaves a run that can be deleted again.
            await runs.delete_traces(connection, run_id)
        await self._client.delete([run_id])

    def _check_size(self, prompt: Any, *, field: str) -> None:
        size = len(json.dumps(prompt, ensure_ascii=False).encode())
        if size > self._limits.prompt_bytes:
            raise refusals.prompt_too_large(size, self._limits.prompt_bytes, field=field)

    def _forked(self, source: forking.Source, request: ForkRun) -> RunInput:
        agent = source.input["agent"]
        spec_version = source.input.get("spec_version")
        if spec_version is None and agent not in self.agents:
            raise refusals.unknown_agent(agent, self.agents, in_body=True)
        self._check_size(request.edits.prompt_json(), field="edits.prompt")
        own = {"conversation_id": str(uuid7()), "agent_version": str(spec_version or self.agents[agent].version)}
        return RunInput.model_validate({**source.input, **request.edits.as_json(), **own})

    async def _earlier(self, connection: AsyncConnection, wanted: Claim) -> Run | None:
        """The run that an earlier request with the key has started; None if the key is this request's now."""
        held = await idempotency.claim(connection, wanted, kept_for=self._limits.key_lifetime)
        return None if held == wanted else await _replayed(connection, wanted, held)

    async def _enqueue(self, connection: AsyncConnection, run_id: str, request: StartRun) -> None:
        coded = self.agents.get(request.agent)
        agent = coded or await self.spec_agents.pinned(connection, request.agent)
        check_deps(request.deps, agent.deps_schema, agent.name)
        if request.output_schema is not None and not agent.takes_output_schema:
            raise refusals.takes_no_output_schema(agent.name)
        conversation_id = request.conversation_id or str(uuid7())
        earlier: Sequence[runs.ConversationRun] = ()
        if request.conversation_id is not None:
            earlier = await runs.conversation_runs(connection, conversation_id)
            if not earlier:
                raise refusals.unknown_conversation(conversation_id)
            if busy := unfinished(earlier):
                raise BusyConversation(busy)
        inherited = await runs.inherited_history(connection, earlier[0].run_id) if earlier else ()
        links = [HistoryLink.model_validate(link) for link in inherited]
        run = RunInput(
            agent=agent.name,
            agent_version=agent.version,
            spec_version=int(agent.version) if coded is None else None,
            prompt=request.prompt_json(),
            conversation_id=conversation_id,
            history=links + [HistoryLink(run_id=run.run_id, through_step=run.last_step) for run in earlier],
            model=request.model,
            model_settings=request.settings_json(),
            usage_limits=request.limits(),
            metadata=request.metadata,
            deps=request.deps,
            output_schema=request.output_schema,
        )
        await self._client.enqueue(connection, NewRun(run_id=run_id, input=run, timeout_seconds=request.timeout))


async def _first_own_step(connection: AsyncConnection, run_id: str, request: ForkRun, last_step: int) -> int:
    step, end = request.from_step or 1, last_step + 1
    if request.from_message is not None:
        found = await forking.step_of_message(connection, run_id, request.from_message)
        if found is None:
            raise refusals.no_such_place("from_message", request.from_message, end)
        # The request that closes a successful run belongs to no step.
        step = min(found, end)
    if step > end:
        raise refusals.no_such_place("from_step", step, end)
    if step > 1 and request.edits.prompt is not None:
        raise refusals.edit_too_late(step)
    return step


async def _sent_before(connection: AsyncConnection, wanted: Claim, held: Claim) -> SentMessage:
    if held.request_hash != wanted.request_hash:
        raise refusals.idempotency_key_reused(held.run_id)
    row = await sent_messages.find(connection, held.message_id or "")
    if row is None:
        raise refusals.run_of_key_deleted(held.run_id)
    return SentMessage.of(row)


async def _replayed(connection: AsyncConnection, wanted: Claim, held: Claim) -> Run:
    if held.request_hash != wanted.request_hash:
        raise refusals.idempotency_key_reused(held.run_id)
    row = await runs.find_run(connection, held.run_id)
    if row is None:
        raise refusals.run_of_key_deleted(held.run_id)
    return Run.of(row)
