"""What a process that executes nothing (the API, the CLI) does to runs: enqueue, cancel, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dbos import DBOSClient, EnqueueOptions
from dbos import error as dbos_error
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from app.durable import names
from app.durable.inputs import RunInput
from app.durable.serializer import HoldfastSerializer
from app.errors import BusyConversation


@dataclass(frozen=True)
class NewRun:
    """A run to be enqueued; `timeout_seconds` counts from its first start."""

    run_id: str
    input: RunInput
    timeout_seconds: float | None = None
    forked_at_step: int | None = None
    """Of a fork: the first step that it does itself."""


class RunClient:
    """DBOS for callers. Never blocks on a lost database: it raises, and the API answers 503."""

    def __init__(self, dbos_url: str, *, application_version: str = names.APPLICATION_VERSION) -> None:
        self._version = application_version
        self._client = DBOSClient(
            system_database_url=dbos_url,
            serializer=HoldfastSerializer(),
            application_name=names.APPLICATION,
            retry_connection_errors=False,
            # Nothing here waits for DBOS notifications (run events have their own channel), so the client can be lazy
            # and a process may start while Postgres is down.
            lazy=True,
        )

    async def enqueue(self, connection: AsyncConnection, run: NewRun) -> None:
        """Put a run on the queue as part of the caller's transaction. Raises BusyConversation,
        after which the transaction is aborted."""

        def enqueue(sync: Connection) -> None:
            self._client.enqueue_in_transaction(sync, self._options(run), run.input.model_dump(mode="json"))

        try:
            await connection.run_sync(enqueue)
        except dbos_error.DBOSQueueDeduplicatedError as error:
            raise BusyConversation from error

    async def cancel(self, run_id: str) -> None:
        """Cancel a run that has not ended; a running step is stopped within about a second."""
        await self._client.cancel_workflow_async(run_id)

    async def delete(self, run_ids: Sequence[str]) -> None:
        """Delete what DBOS keeps of these runs."""
        await self._client.delete_workflows_async(list(run_ids))

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._client.destroy)

    def _options(self, run: NewRun) -> EnqueueOptions:
        attributes: dict[str, Any] = {
            "agent": run.input.agent,
            "agent_version": run.input.agent_version,
            "conversation_id": run.input.conversation_id,
        }
        if run.forked_at_step is not None:
            attributes["forked_at_step"] = run.forked_at_step
        options = EnqueueOptions(
            workflow_name=names.RUN_WORKFLOW,
            queue_name=names.RUN_QUEUE,
            workflow_id=run.run_id,
            app_version=self._version,
            application_name=names.APPLICATION,
            deduplication_id=run.input.conversation_id,
            attributes=attributes,
        )
        if run.timeout_seconds is not None:
            options["workflow_timeout"] = run.timeout_seconds
        return options
