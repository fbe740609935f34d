"""Database URLs: which ones are taken, and what each library gets."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.db.engine import dbos_url, libpq_url, make_engine, shown, with_database


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_a_postgres_url_is_taken(scheme: str) -> None:
    url = f"{scheme}://me:p%40ss@db.example:5433/runs?sslmode=require"
    assert dbos_url(url) == "postgresql+psycopg://me:p%40ss@db.example:5433/runs?sslmode=require"
    assert libpq_url(url) == "postgresql://me:p%40ss@db.example:5433/runs?sslmode=require"


def test_a_socket_url_keeps_its_directory() -> None:
    assert libpq_url("postgresql://postgres@/runs?host=/tmp/pg") == "postgresql://postgres@/runs?host=%2Ftmp%2Fpg"


@pytest.mark.parametrize("url", ["sqlite:///runs.db", "mysql://me:secret@host/runs", "postgresql://host", "secret", ""])
def test_any_other_url_is_refused_with_the_fix_and_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match=r"DATABASE_URL .*postgresql://user:password@host:5432/database") as refused:
        libpq_url(url)
    assert "secret" not in str(refused.value)


def test_a_shown_url_has_no_password() -> None:
    assert "hunter2" not in shown("postgresql://me:hunter2@host/runs")


def test_another_database_of_the_same_server() -> None:
    assert with_database("postgresql://me:x@host/runs", "other") == "postgresql://me:x@host/other"


async def test_the_engine_speaks_to_postgres(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=2)
    async with engine.connect() as connection:
        assert await connection.scalar(text("select count(*) from holdfast.runs")) == 0
    await engine.dispose()
