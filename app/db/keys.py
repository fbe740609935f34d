"""API keys at rest: a public id, and the SHA-256 of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

_COLUMNS = "id, name, scopes, created_at, expires_at, revoked_at, last_used_at"

_ADD = text(
    "insert into holdfast.api_keys (id, name, secret_sha256, scopes, expires_at)"
    " values (:id, :name, :secret_sha256, :scopes, clock_timestamp() + cast(:lifetime as interval))"
    f" on conflict (name) do nothing returning {_COLUMNS}"
)
_LIST = text(f"select {_COLUMNS} from holdfast.api_keys order by created_at, id")
_REVOKE = text(
    "update holdfast.api_keys set revoked_at = coalesce(revoked_at, clock_timestamp())"
    f" where name = :name or id = :name returning {_COLUMNS}"
)
_FIND = text(
    "select id, name, secret_sha256, scopes from holdfast.api_keys"
    " where id = :id and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())"
)
# Once a minute is enough to see that a key is in use, and spares a write for each request.
_TOUCH = text(
    "update holdfast.api_keys set last_used_at = clock_timestamp() where id = :id"
    " and (last_used_at is null or last_used_at < clock_timestamp() - interval '1 minute')"
)


@dataclass(frozen=True)
class NewKey:
    """A key to be kept; it ends after `lifetime`, if that is given."""

    id: str
    name: str
    secret_sha256: bytes
    scopes: Sequence[str]
    lifetime: timedelta | None = None


async def add_key(connection: AsyncConnection, key: NewKey) -> RowMapping | None:
    """Keep a key. None if its name is taken."""
    return (await connection.execute(_ADD, {**vars(key), "scopes": list(key.scopes)})).mappings().one_or_none()


async def list_keys(connection: AsyncConnection) -> Sequence[RowMapping]:
    """All keys, also those that are over, oldest first."""
    return (await connection.execute(_LIST)).mappings().all()


async def revoke_key(connection: AsyncConnection, name: str) -> RowMapping | None:
    """End a key now, by its name or id. None if there is none."""
    return (await connection.execute(_REVOKE, {"name": name})).mappings().first()


async def find_valid_key(connection: AsyncConnection, key_id: str) -> RowMapping | None:
    """The key with this id, with the hash of its secret, unless it is over."""
    return (await connection.execute(_FIND, {"id": key_id})).mappings().one_or_none()


async def note_use(connection: AsyncConnection, key_id: str) -> None:
    """Remember that the key was used."""
    await connection.execute(_TOUCH, {"id": key_id})
