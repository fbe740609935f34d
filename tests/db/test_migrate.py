"""Migrations: from nothing to current, once, whoever starts them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from app.db import migrate as migrate_module
from app.db.migrate import migrate, migrations_current, migrations_dir
from app.durable.migrations import migrate_dbos
from tests.eventually import eventually

MIGRATE_SCRIPT = """
import sys
from app.db.migrate import migrate
from app.durable.migrations import migrate_dbos
migrate(sys.argv[1], migrate_dbos=migrate_dbos)
"""


def refuse_to_migrate_dbos(url: str) -> None:
    raise AssertionError("DBOS was migrated although the database is current")


def test_a_database_that_does_not_exist_is_created_and_made_current(unmigrated_database_url: str) -> None:
    migrate(unmigrated_database_url, migrate_dbos=migrate_dbos)

    assert migrations_current(unmigrated_database_url)
    with psycopg.connect(unmigrated_database_url) as connection:
        assert connection.execute("select count(*) from holdfast.runs").fetchone() == (0,)
        assert connection.execute("select count(*) from holdfast.steps").fetchone() == (0,)
        trigger = connection.execute(
            "select tgrelid::regclass::text from pg_trigger where tgname = 'holdfast_run_state'"
        )
        assert trigger.fetchall() == [("dbos.workflow_status",)]


def test_a_current_database_is_left_alone(database_url: str) -> None:
    with psycopg.connect(database_url) as reader:
        # A reader in a transaction would block any change of the views.
        reader.execute("select * from holdfast.runs")
        migrate(database_url, migrate_dbos=refuse_to_migrate_dbos)


def test_three_processes_that_migrate_at_once_all_succeed(unmigrated_database_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE_SCRIPT, unmigrated_database_url], stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    outcomes = [(process.communicate()[1], process.returncode) for process in processes]
    assert [code for _, code in outcomes] == [0, 0, 0], outcomes
    assert migrations_current(unmigrated_database_url)


def test_changed_sql_is_applied_and_makes_other_versions_not_current(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = tmp_path / "migrations"
    shutil.copytree(migrations_dir(), changed)
    (changed / "repeatable/99_more.sql").write_text("create view holdfast.more as select 'a % sign' as text;")
    monkeypatch.setattr(migrate_module, "migrations_dir", lambda: changed)

    assert not migrations_current(database_url)
    migrate(database_url, migrate_dbos=refuse_to_migrate_dbos)
    assert migrations_current(database_url)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select text from holdfast.more").fetchone() == ("a % sign",)


def test_dbos_can_change_its_tables_because_our_views_and_trigger_step_aside(database_url: str) -> None:
    def alter_a_table_under_our_views(url: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute("alter table dbos.workflow_status alter column name type varchar")

    with psycopg.connect(database_url) as connection:
        connection.execute("update holdfast.applied set version = '3.3.0' where part = 'dbos'")
    migrate(database_url, migrate_dbos=alter_a_table_under_our_views)

    assert migrations_current(database_url)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from holdfast.runs").fetchone() == (0,)


def test_a_failed_migration_is_done_again_by_the_next(unmigrated_database_url: str) -> None:
    def fail(url: str) -> None:
        raise ConnectionError("the network is down")

    with pytest.raises(ConnectionError):
        migrate(unmigrated_database_url, migrate_dbos=fail)
    assert not migrations_current(unmigrated_database_url)
    migrate(unmigrated_database_url, migrate_dbos=migrate_dbos)
    assert migrations_current(unmigrated_database_url)


def test_somebody_elses_view_on_ours_stops_the_migration_and_stays(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("create view public.my_report as select run_id from holdfast.runs")
        connection.execute("update holdfast.applied set version = 'older' where part = 'repeatable'")
    with pytest.raises(psycopg.errors.DependentObjectsStillExist, match=r"my_report"):
        migrate(database_url, migrate_dbos=migrate_dbos)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from public.my_report").fetchone() == (0,)


def test_migrating_leaves_no_connection_open(unmigrated_database_url: str) -> None:
    migrate(unmigrated_database_url, migrate_dbos=migrate_dbos)
    others = "select count(*) = 0 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with psycopg.connect(unmigrated_database_url, autocommit=True) as connection:
        eventually(lambda: connection.execute(others).fetchone() == (True,))
