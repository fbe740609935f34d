"""What every test may ask for: a Postgres for the session and a fresh, migrated database for the test."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from app.db import embedded
from app.db.engine import libpq_url, with_database
from app.db.migrate import migrate
from app.durable.migrations import migrate_dbos
from app.settings import load_settings


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def embedded_postgres() -> Iterator[embedded.EmbeddedPostgres]:
    """The session's own server, for tests that restart or crash it; its data is gone afterwards."""
    with embedded.attach(throwaway=True, state_dir=load_settings().state_dir) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> str:
    """URL of the server for this session: DATABASE_URL's when set, else an embedded one."""
    if given := os.environ.get("DATABASE_URL"):
        return given
    return request.getfixturevalue("embedded_postgres").url


@pytest.fixture(scope="session")
def migrated_template(postgres: str) -> Iterator[str]:
    """Name of a migrated database that tests get copies of."""
    name = f"holdfast_template_{uuid.uuid4().hex[:8]}"
    migrate(with_database(postgres, name), migrate_dbos=migrate_dbos)
    yield name
    drop_database(postgres, name)


@pytest.fixture
def database_url(postgres: str, migrated_template: str) -> Iterator[str]:
    """A database of its own for this test, migrated and empty."""
    name = f"holdfast_test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(migrated_template))
    with server_connection(postgres) as connection:
        connection.execute(create)
    yield with_database(postgres, name)
    drop_database(postgres, name)


@pytest.fixture
def unmigrated_database_url(postgres: str) -> Iterator[str]:
    """The URL of a database that does not exist yet."""
    name = f"holdfast_test_{uuid.uuid4().hex[:12]}"
    yield with_database(postgres, name)
    drop_database(postgres, name)


def server_connection(url: str) -> psycopg.Connection:
    return psycopg.connect(libpq_url(with_database(url, "postgres")), autocommit=True)


def drop_database(url: str, name: str) -> None:
    """By force: a worker that was killed may still be connected."""
    with server_connection(url) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
