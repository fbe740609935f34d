"""Reports how long runs took to finish elsewhere after their worker's death."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from app.db.engine import with_database
from tests.conftest import drop_database, server_connection
from tests.crash.cluster import Cluster

recovery_seconds: list[float] = []


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if recovery_seconds:
        terminalreporter.write_line(
            f"finished elsewhere after kill -9, {len(recovery_seconds)} kills: "
            f"p50 {percentile(recovery_seconds, 0.5):.2f} s, p95 {percentile(recovery_seconds, 0.95):.2f} s, "
            f"max {max(recovery_seconds):.2f} s"
        )


@pytest.fixture(scope="module")
def crash_database_url(postgres: str, migrated_template: str) -> Iterator[str]:
    """A migrated database for the tests of one module."""
    name = f"holdfast_crash_{uuid.uuid4().hex[:8]}"
    with server_connection(postgres) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(migrated_template))
        )
    yield with_database(postgres, name)
    drop_database(postgres, name)


@pytest.fixture
async def cluster(database_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """No workers yet."""
    async with Cluster(database_url, tmp_path) as cluster:
        yield cluster
