"""Large listings of tools, kept once however many runs have them."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.outage import through_outage

_KEEP: Final = text(
    "insert into holdfast.tool_definitions (hash, definitions) values (:hash, cast(:definitions as jsonb))"
    " on conflict do nothing"
)
_FIND: Final = text("select definitions from holdfast.tool_definitions where hash = :hash")


async def keep(engine: AsyncEngine, definitions: str) -> str:
    """Keep definitions, given as JSON; the hash that they are found by."""
    name = hashlib.sha256(definitions.encode()).hexdigest()

    async def work(_again: bool) -> str:
        async with engine.begin() as connection:
            await connection.execute(_KEEP, {"hash": name, "definitions": definitions})
        return name

    return await through_outage(work)


async def find(engine: AsyncEngine, name: str) -> Any:
    """The definitions with this hash. Raises LookupError if they are gone."""

    async def work(_again: bool) -> Any:
        async with engine.connect() as connection:
            return (await connection.execute(_FIND, {"hash": name})).scalar_one_or_none()

    if (definitions := await through_outage(work)) is None:
        raise LookupError(name)
    return definitions
