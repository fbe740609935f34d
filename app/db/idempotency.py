"""Idempotency keys: which run a client's key has started, or which message it has sent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

# A conflicting insert waits for the other transaction, so of two simultaneous requests one claims and one replays.
# An expired key is claimed anew.
_CLAIM = text(
    """
    insert into holdfast.idempotency_keys as claimed (api_key_id, key, request_hash, run_id, message_id)
    values (:api_key_id, :key, :request_hash, :run_id, :message_id)
    on conflict (api_key_id, key) do update
        set request_hash = excluded.request_hash, run_id = excluded.run_id, message_id = excluded.message_id,
            created_at = clock_timestamp()
        where claimed.created_at < clock_timestamp() - cast(:kept_for as interval)
    returning run_id
    """
)

_FIND = text(
    "select request_hash, run_id, message_id from holdfast.idempotency_keys"
    " where api_key_id = :api_key_id and key = :key"
)


@dataclass(frozen=True)
class Claim:
    """What a key stands for: the request's hash and the run it starts, or the message it sends to a run.

    `api_key_id` is "" when clients have no keys.
    """

    key: str
    request_hash: str
    run_id: str
    api_key_id: str = ""
    message_id: str | None = None


async def claim(connection: AsyncConnection, wanted: Claim, *, kept_for: timedelta) -> Claim:
    """Take the key for this request, or return the claim that holds it already.

    Undone with the surrounding transaction.
    """
    taken = await connection.execute(_CLAIM, {**vars(wanted), "kept_for": kept_for})
    if taken.first() is not None:
        return wanted
    held = (await connection.execute(_FIND, {"api_key_id": wanted.api_key_id, "key": wanted.key})).one()
    return replace(wanted, request_hash=held.request_hash, run_id=held.run_id, message_id=held.message_id)
