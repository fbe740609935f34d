"""`holdfast migrate`: bring a database, ours or a brand-new one, to the state that this version needs.

    lock → create database → drop our views and triggers → DBOS → Alembic → functions, views and triggers → done
    (session advisory)      (only if DBOS or Alembic will change a table)      (migrations/repeatable/*.sql)

Our views and triggers stand on DBOS tables, and DBOS cannot alter a table under them; that is why they go first. A
database that is current is not touched, so every process may call this at its start.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import LiteralString, cast

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from app.db.engine import database_name, dbos_url, libpq_url, with_database

LOCK_KEY = 0x486F6C6466617374  # "Holdfast"
LOCK_SECONDS = 120.0
RETRY_SECONDS = 0.1
SCHEMA = "holdfast"

_SETUP = """
create schema if not exists holdfast;
create table if not exists holdfast.applied (part text primary key, version text not null);
"""
_OUR_VIEWS = "select format('holdfast.%I', viewname) from pg_views where schemaname = 'holdfast'"
_OUR_TRIGGERS = """
select format('%I on %s', trigger.tgname, trigger.tgrelid::regclass)
from pg_trigger as trigger
join pg_proc as function on function.oid = trigger.tgfoid
join pg_namespace as schema on schema.oid = function.pronamespace
where schema.nspname = 'holdfast' and not trigger.tgisinternal and trigger.tgparentid = 0
"""


def migrate(url: str, *, migrate_dbos: Callable[[str], None]) -> None:
    """Create the database if need be and migrate it; several processes may do so at once, the first one does the work.

    `migrate_dbos` brings the schema of DBOS up to date, given the URL. Raises psycopg.Error when Postgres refuses,
    TimeoutError when another migration holds the lock for two minutes.
    """
    _create_database(url)
    with psycopg.connect(libpq_url(url), autocommit=True) as connection, _lock(connection):
        if _current(connection):
            return
        connection.execute(_SETUP)
        if not _tables_current(connection):
            _drop_views_and_triggers(connection)
            migrate_dbos(url)
            _run_alembic(url)
        _apply_repeatable(connection)


def migrations_current(url: str) -> bool:
    """Whether the database is in the state that this version needs. Raises psycopg.Error when it cannot be asked."""
    with psycopg.connect(libpq_url(url), autocommit=True) as connection:
        return _current(connection)


def migrations_dir() -> Path:
    """The migrations: inside the package when installed from a wheel, beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def _create_database(url: str) -> None:
    """Create the database if there is none; a role without the right to do so gets Postgres's refusal."""
    try:
        psycopg.connect(libpq_url(url)).close()
        return
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise
    create = sql.SQL("create database {}").format(sql.Identifier(database_name(url)))
    created_meanwhile = contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)
    with psycopg.connect(libpq_url(with_database(url, "postgres")), autocommit=True) as connection, created_meanwhile:
        connection.execute(create)


@contextlib.contextmanager
def _lock(connection: psycopg.Connection) -> Generator[None]:
    """Ask again and again: a waiting pg_advisory_lock() holds a snapshot, on which CREATE INDEX CONCURRENTLY waits."""
    deadline = time.monotonic() + LOCK_SECONDS
    while not _ask(connection, "select pg_try_advisory_lock(%s)", LOCK_KEY):
        if time.monotonic() > deadline:
            raise TimeoutError(f"Another migration of this database holds its lock for more than {LOCK_SECONDS:.0f} s")
        time.sleep(RETRY_SECONDS)
    try:
        yield
    finally:
        connection.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])


def _current(connection: psycopg.Connection) -> bool:
    return _tables_current(connection) and _applied(connection, "repeatable") == _repeatable_version()


def _tables_current(connection: psycopg.Connection) -> bool:
    """Whether neither DBOS nor Alembic has anything to do."""
    if _ask(connection, "select to_regclass('holdfast.alembic_version')") is None:
        return False
    if _ask(connection, "select to_regclass('dbos.workflow_status')") is None:
        return False
    revision = _ask(connection, "select version_num from holdfast.alembic_version")
    return _applied(connection, "dbos") == _dbos_version() and revision == _alembic_head()


def _applied(connection: psycopg.Connection, part: str) -> object:
    return _ask(connection, "select version from holdfast.applied where part = %s", part)


def _ask(connection: psycopg.Connection, question: LiteralString, *values: object) -> object:
    row = connection.execute(question, values).fetchone()
    return row[0] if row else None


def _drop_views_and_triggers(connection: psycopg.Connection) -> None:
    """Without CASCADE: a view that somebody built on ours must stop the migration, not vanish."""
    views = [name for (name,) in connection.execute(_OUR_VIEWS)]
    if views:
        connection.execute(_trusted(f"drop view {', '.join(views)}"))
    for (trigger,) in connection.execute(_OUR_TRIGGERS).fetchall():
        connection.execute(_trusted(f"drop trigger {trigger}"))


def _run_alembic(url: str) -> None:
    engine = create_engine(dbos_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        config = _alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _apply_repeatable(connection: psycopg.Connection) -> None:
    """In one transaction, so that no change of a run's state slips through while its trigger is away."""
    with connection.transaction():
        _drop_views_and_triggers(connection)
        for file in _repeatable_files():
            connection.execute(_trusted(file.read_text()))
        for part, version in (("repeatable", _repeatable_version()), ("dbos", _dbos_version())):
            connection.execute(
                "insert into holdfast.applied (part, version) values (%s, %s)"
                " on conflict (part) do update set version = excluded.version",
                [part, version],
            )


def _trusted(text: str) -> LiteralString:
    """Our own files and names quoted by Postgres; nothing in them comes from a request."""
    return cast(LiteralString, text)


def _repeatable_files() -> list[Path]:
    return sorted((migrations_dir() / "repeatable").glob("*.sql"))


def _repeatable_version() -> str:
    digest = hashlib.sha256()
    for file in _repeatable_files():
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _dbos_version() -> str:
    return importlib.metadata.version("dbos")


def _alembic_head() -> str | None:
    return ScriptDirectory.from_config(_alembic_config()).get_current_head()


def _alembic_config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
