"""A worker process: it executes runs until it is told to stop, then drains.

start → serve → drain (SIGTERM, SIGINT)  → exit 0
              → lost (others took over)  → exit 1, whoever started it starts a new one
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, Final

import structlog
from dbos import DBOS, DBOSConfig
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai import Agent
from app.ai.mcp import opened_on_demand
from app.db.engine import dbos_url, libpq_url, make_engine
from app.db.workers import WorkerIdentity
from app.durable import names
from app.durable.dbos_internals import active_runs, is_claiming
from app.durable.events import Notifier
from app.durable.journal import Instruments
from app.durable.ownership import OwnershipWatch
from app.durable.presence import Presence
from app.durable.serializer import HoldfastSerializer
from app.durable.spec_agents import SpecAgents
from app.durable.workflow import DepsProvider, RunExecutor, serve_runs
from app.settings import Settings

log: Any = structlog.get_logger(__name__)

EXIT_LOST: Final = 1
_POLL_SECONDS: Final = 0.05


def run_worker(
    settings: Settings, agents: Mapping[str, Agent[Any, Any]], providers: Mapping[str, DepsProvider] | None = None
) -> int:
    """Execute runs of `agents` until SIGTERM or SIGINT. Returns the process's exit code."""
    return asyncio.run(Worker(settings, agents, providers or {}).serve())


class Worker:
    """One worker. Every object bound to the event loop is made in `serve` and handed down from there."""

    def __init__(
        self, settings: Settings, agents: Mapping[str, Agent[Any, Any]], providers: Mapping[str, DepsProvider]
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._providers = providers
        self.identity = WorkerIdentity(
            executor_id=f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}",
            application_version=settings.application_version,
            host=socket.gethostname(),
            pid=os.getpid(),
        )

    async def serve(self) -> int:
        """Start, execute runs until told to stop, drain."""
        stopping = self._stop_on_signals()
        async with AsyncExitStack() as stack:
            with opened_on_demand():
                for agent in self._agents.values():
                    await stack.enter_async_context(agent)
            engine = make_engine(self._url, pool_size=10, timeout=30)
            stack.push_async_callback(engine.dispose)
            presence = await asyncio.to_thread(self._appear)
            watch = self._launch(engine)
            await self._listen()
            log.info("worker ready", worker=self.identity.executor_id)
            await stopping.wait()
            await self._drain(presence)
            watch.cancel()
        return 0

    @property
    def _url(self) -> str:
        url = self._settings.database_url
        if url is None:
            raise ValueError(
                "A worker needs DATABASE_URL. `holdfast serve` brings a Postgres of its own when it is not set."
            )
        return url

    def _appear(self) -> Presence:
        presence = Presence(
            url=libpq_url(self._url),
            worker=self.identity,
            frozen_seconds=self._settings.takeover_seconds,
            key_lifetime_seconds=self._settings.idempotency_ttl_seconds,
            # The runs go on elsewhere and every write of ours is refused: there is nothing left to save.
            on_lost=lambda: os._exit(EXIT_LOST),
        )
        presence.start()
        return presence

    def _launch(self, engine: AsyncEngine) -> asyncio.Task[None]:
        ownership = OwnershipWatch(engine)
        instruments = Instruments(
            engine=engine,
            notifier=Notifier(engine),
            ownership=ownership,
            executor_id=self.identity.executor_id,
            max_step_bytes=self._settings.max_step_bytes,
        )
        threads = ThreadPoolExecutor(self._settings.tool_threads, thread_name_prefix="holdfast-tool")
        serve_runs(RunExecutor(self._agents, SpecAgents(engine), instruments, threads, self._providers))
        DBOS(config=self._dbos_config())
        DBOS.listen_queues([names.RUN_QUEUE])
        # On this loop, so that runs execute here, where the objects made above live.
        DBOS.launch()
        return asyncio.create_task(ownership.run(), name="ownership")

    async def _listen(self) -> None:
        await DBOS.register_queue_async(
            names.RUN_QUEUE,
            worker_concurrency=self._settings.worker_concurrency,
            polling_interval_sec=self._settings.queue_poll_seconds,
            on_conflict="always_update",
        )
        while not is_claiming(names.RUN_QUEUE):
            await asyncio.sleep(_POLL_SECONDS)

    async def _drain(self, presence: Presence) -> None:
        """Stop claiming, let runs finish for a while, give the rest to other workers."""
        log.info("draining", runs=len(active_runs()))
        patience = self._settings.drain_seconds
        # In a thread: DBOS waits there, and on the loop it would stop the very runs it waits for.
        destroyed = asyncio.create_task(
            asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=int(patience) + 2)
        )
        try:
            async with asyncio.timeout(patience):
                while active_runs():
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            pass
        handed = await asyncio.to_thread(presence.stop)
        log.info("handed back", runs=handed)
        serve_runs(None)
        await destroyed

    def _stop_on_signals(self) -> asyncio.Event:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stopping.set)
        return stopping

    def _dbos_config(self) -> DBOSConfig:
        return DBOSConfig(
            name=names.APPLICATION,
            system_database_url=dbos_url(self._url),
            executor_id=self.identity.executor_id,
            application_version=self.identity.application_version,
            serializer=HoldfastSerializer(),
            run_migrations=False,
            db_engine_kwargs={"pool_pre_ping": False, "hide_parameters": True},
            sys_db_pool_size=20,
            sys_db_idle_transaction_timeout_sec=10,
            log_level="WARNING",
            console_log_level="WARNING",
        )
