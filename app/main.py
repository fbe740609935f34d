"""Where everything is put together: the only file that knows all rooms of the house."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from app.agents.registry import load_agents, load_providers
from app.api.app import create_app
from app.api.security import AccessRules
from app.db.embedded import attach
from app.db.engine import dbos_url, libpq_url, make_engine
from app.db.migrate import migrate, migrations_current
from app.durable.client import RunClient
from app.durable.migrations import migrate_dbos
from app.durable.worker import run_worker
from app.runs.agents import describe_agents
from app.runs.feed import EventFeed
from app.runs.service import Limits, RunService
from app.settings import Settings, SettingsError

GRACEFUL_SHUTDOWN_SECONDS = 5
_BODY_BESIDE_PROMPT_BYTES = 64 * 1024


def make_app(settings: Settings) -> FastAPI:
    """The HTTP API on the database of the settings. Connects when it is used, not here."""
    url = _database_url(settings)
    engine = make_engine(url, pool_size=10, timeout=2.0)
    client = RunClient(dbos_url(url), application_version=settings.application_version)
    feed = EventFeed(engine, libpq_url(url))
    agents = load_agents(settings.agents)
    provided = load_providers(settings.agents, agents)
    service = RunService(
        engine=engine,
        client=client,
        feed=feed,
        agents=describe_agents(agents, version=settings.application_version, provided=provided),
        limits=Limits(settings.max_prompt_bytes, timedelta(seconds=settings.idempotency_ttl_seconds)),
        is_migrated=lambda: migrations_current(url),
        http_capabilities=settings.http_capabilities,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with feed.listening():
            yield
        await client.close()
        await engine.dispose()

    rules = AccessRules(
        # JSON may write each character of the prompt as an escape.
        max_body_bytes=2 * settings.max_prompt_bytes + _BODY_BESIDE_PROMPT_BYTES,
        api_key=settings.api_key.get_secret_value() if settings.api_key else None,
        allowed_hosts=settings.allowed_hosts,
    )
    return create_app(service, rules, lifespan=lifespan, ping_seconds=settings.sse_ping_seconds)


class DrainingServer(uvicorn.Server):
    """A server that sends event-stream clients away before it stops, and returns instead of dying by the signal."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        config = uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
            log_config=None,
            server_header=False,
        )
        super().__init__(config)
        self._drain: Callable[[], None] = app.state.service.drain

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Handle SIGINT and SIGTERM; uvicorn would raise them again at the end, and skip our own shutdown."""
        with super().capture_signals():
            yield
            self._captured_signals.clear()

    async def main_loop(self) -> None:
        """Serve until told to stop."""
        await super().main_loop()
        self._drain()


async def serve_api(settings: Settings) -> None:
    """Serve HTTP until SIGINT or SIGTERM, then drain."""
    await DrainingServer(make_app(settings), settings).serve()


def work(settings: Settings) -> int:
    """Execute runs until SIGINT or SIGTERM. Returns the process's exit code."""
    _database_url(settings)
    agents = load_agents(settings.agents)
    return run_worker(settings, agents, load_providers(settings.agents, agents))


def migrate_database(settings: Settings) -> None:
    """Bring the database to what this version needs."""
    migrate(_database_url(settings), migrate_dbos=migrate_dbos)


@contextlib.contextmanager
def database(settings: Settings, project: Path) -> Generator[Settings]:
    """The settings with a database: the given one, or the project's embedded one for as long as the block lasts."""
    if settings.database_url is not None:
        yield settings
        return
    with attach(project, state_dir=settings.state_dir) as postgres:
        yield settings.model_copy(update={"database_url": postgres.url})


def _database_url(settings: Settings) -> str:
    if settings.database_url is None:
        raise SettingsError(
            "DATABASE_URL is not set. Set it to a Postgres, or use `holdfast serve`, which brings one of its own."
        )
    try:
        return libpq_url(settings.database_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
