"""Agents that came over HTTP: each version of their specs, kept for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS = "name, version, spec, created_at, created_by"

_LOCK = text("select pg_advisory_xact_lock(hashtextextended('holdfast.agents ' || :name, 0))")
_VERSIONS = text(f"select {_COLUMNS} from holdfast.agents where name = :name order by version desc")
_VERSION = text(f"select {_COLUMNS} from holdfast.agents where name = :name and version = :version")
_NEWEST = text(f"select distinct on (name) {_COLUMNS} from holdfast.agents order by name, version desc")
_ADD = text(
    "insert into holdfast.agents (name, version, spec, created_by)"
    f" values (:name, :version, :spec, :created_by) returning {_COLUMNS}"
).bindparams(bindparam("spec", type_=JSONB))


async def add_version(
    connection: AsyncConnection, name: str, spec: dict[str, Any], *, created_by: str
) -> tuple[RowMapping, bool]:
    """The newest version, and whether it is new: a spec like that of the newest one makes none."""
    await connection.execute(_LOCK, {"name": name})
    newest = next(iter(await versions(connection, name)), None)
    if newest is not None and newest["spec"] == spec:
        return newest, False
    version = 1 if newest is None else newest["version"] + 1
    values = {"name": name, "version": version, "spec": spec, "created_by": created_by}
    return (await connection.execute(_ADD, values)).mappings().one(), True


async def versions(connection: AsyncConnection, name: str) -> Sequence[RowMapping]:
    """All versions of an agent, newest first."""
    return (await connection.execute(_VERSIONS, {"name": name})).mappings().all()


async def find_version(connection: AsyncConnection, name: str, version: int) -> RowMapping | None:
    """One version of an agent."""
    values = {"name": name, "version": version}
    return (await connection.execute(_VERSION, values)).mappings().one_or_none()


async def newest_versions(connection: AsyncConnection) -> Sequence[RowMapping]:
    """The newest version of each agent, by name."""
    return (await connection.execute(_NEWEST)).mappings().all()
