"""Database URLs in the three dialects that our libraries want, and the SQLAlchemy engine."""

from __future__ import annotations

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

POSTGRES_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg")


def make_engine(url: str, *, pool_size: int = 10, timeout: float = 2.0) -> AsyncEngine:
    """An async engine on psycopg; `timeout` seconds bound the wait for a pooled connection and for connecting."""
    return create_async_engine(
        _parse(url).set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout,
        # Errors are logged with their statement; what it was given may be a prompt.
        hide_parameters=True,
        # libpq counts whole seconds and reads anything below two as two
        connect_args={"connect_timeout": max(2, round(timeout))},
    )


def dbos_url(url: str) -> str:
    """The URL for DBOS and SQLAlchemy, with driver and password in it."""
    return _parse(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


def libpq_url(url: str) -> str:
    """The URL for psycopg itself and for psql, with the password in it."""
    return _parse(url).set(drivername="postgresql").render_as_string(hide_password=False)


def with_database(url: str, database: str) -> str:
    """The same server, another database."""
    return _parse(url).set(database=database).render_as_string(hide_password=False)


def database_name(url: str) -> str:
    """The database that the URL names."""
    return _parse(url).database or ""


def shown(url: str) -> str:
    """The URL for logs and messages: without the password."""
    return _parse(url).render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    """Raises ValueError, without repeating the URL: it may hold a password."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError(f"DATABASE_URL is not a URL. {_FIX}") from None
    if parsed.drivername not in POSTGRES_SCHEMES:
        raise ValueError(f"DATABASE_URL names {parsed.drivername!r}, but Holdfast runs on Postgres only. {_FIX}")
    if not parsed.database:
        raise ValueError(f"DATABASE_URL names no database. {_FIX}")
    return parsed


_FIX = "Write postgresql://user:password@host:5432/database, or unset it to use the embedded Postgres."
