"""Who calls the service, and what they may do: API keys and their scopes.

A key reads `hf_<id>_<secret>`. The id finds its row; the rest is compared by its hash, in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import keys
from app.runs import refusals
from app.runs.reach import answers_in_time
from app.runs.records import KeyInfo

Scope = Literal["read", "run", "approve", "admin"]
SCOPES: Final[tuple[Scope, ...]] = ("read", "run", "approve", "admin")


@dataclass(frozen=True)
class Caller:
    """Somebody who may do what `scopes` say. `key_id` is empty for those who have no stored key."""

    name: str
    scopes: frozenset[str] = field(default=frozenset({"admin"}))
    key_id: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether the caller has the scope; admin has them all."""
        return scope in self.scopes or "admin" in self.scopes


ANYBODY: Final = Caller("anonymous")
"""Whoever calls a service that asks for no keys."""
BOOTSTRAP: Final = Caller("bootstrap")
"""Whoever has the key of the environment, HOLDFAST_API_KEY."""


# Decisions are kept with the name of who made them; nobody may pass for one of these.
_RESERVED_NAMES: Final = frozenset({ANYBODY.name, BOOTSTRAP.name, "deadline"})


@dataclass(frozen=True)
class CreatedKey:
    """A new key. `text` is shown once and cannot be found out again."""

    info: KeyInfo
    text: str = field(repr=False)


class Keys:
    """The verbs on API keys."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @answers_in_time
    async def caller(self, text: str) -> Caller | None:
        """Who has this key; None if it is unknown, revoked or expired."""
        prefix, _, rest = text.partition("_")
        key_id, separator, _ = rest.partition("_")
        if prefix != "hf" or not separator or not key_id.isalnum():
            return None
        async with self._engine.begin() as connection:
            found = await keys.find_valid_key(connection, key_id)
            if found is None or not hmac.compare_digest(_hashed(text), found["secret_sha256"]):
                return None
            await keys.note_use(connection, key_id)
        return Caller(name=found["name"], scopes=frozenset(found["scopes"]), key_id=key_id)

    @answers_in_time
    async def create(self, name: str, scopes: Sequence[Scope], *, lifetime: timedelta | None = None) -> CreatedKey:
        """Make a key. Names are unique, also among keys that are over: they are kept with decisions."""
        if name in _RESERVED_NAMES:
            raise refusals.key_name_taken(name)
        key_id = secrets.token_hex(6)
        text = f"hf_{key_id}_{secrets.token_urlsafe(32)}"
        key = keys.NewKey(key_id, name, _hashed(text), sorted(set(scopes)), lifetime)
        async with self._engine.begin() as connection:
            row = await keys.add_key(connection, key)
        if row is None:
            raise refusals.key_name_taken(name)
        return CreatedKey(KeyInfo.of(row), text)

    @answers_in_time
    async def list(self) -> list[KeyInfo]:
        """All keys without their secrets, oldest first."""
        async with self._engine.connect() as connection:
            return [KeyInfo.of(row) for row in await keys.list_keys(connection)]

    @answers_in_time
    async def revoke(self, name: str) -> KeyInfo:
        """End a key, given its name or id; requests that run already are not stopped."""
        async with self._engine.begin() as connection:
            row = await keys.revoke_key(connection, name)
        if row is None:
            raise refusals.unknown_key(name)
        return KeyInfo.of(row)


def _hashed(text: str) -> bytes:
    # The secret is 256 random bits: a slow hash would protect nothing more.
    return hashlib.sha256(text.encode()).digest()
