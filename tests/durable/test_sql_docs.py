"""Every query of docs/sql.md runs, and the columns that it promises are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.durable.names import TABLES, VIEWS
from tests.durable.conftest import ClaimedRun, rows

PAGE = (Path(__file__).parents[2] / "docs" / "sql.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.S)
PROMISED = dict(re.findall(r"^\| `holdfast\.(\w+)` \|[^|]*\| ([^|]*) \|$", PAGE, re.M))


@pytest.mark.parametrize("query", QUERIES)
async def test_a_documented_query_runs(engine: AsyncEngine, claimed_run: ClaimedRun, query: str) -> None:
    run_id = await claimed_run()
    statement = query.rstrip().rstrip(";").replace(":'run_id'", f"'{run_id}'").replace("::timestamptz", "")
    await rows(engine, statement)


async def test_views_have_the_documented_columns_and_no_others(engine: AsyncEngine) -> None:
    found = await rows(
        engine,
        "select table_name, string_agg(column_name, ', ' order by ordinal_position) from information_schema.columns"
        " where table_schema = 'holdfast' and table_name in (select viewname from pg_views) group by table_name",
    )
    assert {table: columns for table, columns in found} == PROMISED
    assert set(PROMISED) == set(VIEWS)


async def test_our_tables_have_their_stored_names(engine: AsyncEngine) -> None:
    found = await rows(engine, "select tablename from pg_tables where schemaname = 'holdfast'")
    assert {name for (name,) in found} == {*TABLES, "alembic_version", "applied"}
