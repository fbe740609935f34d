"""The tables of DBOS, migrated without launching it."""

from __future__ import annotations

from dbos import DBOS

from app.db.engine import libpq_url


def migrate_dbos(url: str) -> None:
    """Bring schema `dbos` of the database to what the installed DBOS needs."""
    DBOS.migrate(libpq_url(url), schema="dbos")
