"""Handles of model requests under way, kept with the attempt of their step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.models.handles import RequestHandles
from app.db import attempts
from app.db.attempts import AttemptKey


@dataclass(frozen=True)
class AttemptHandles(RequestHandles):
    """What attempts of a model step leave to the next one, in `holdfast.attempts`."""

    engine: AsyncEngine
    attempt: AttemptKey

    async def recall(self) -> Mapping[str, Any] | None:
        return await attempts.earlier_handle(self.engine, self.attempt)

    async def keep(self, handle: Mapping[str, Any]) -> None:
        await attempts.keep_handle(self.engine, self.attempt, handle)

    async def given_up(self) -> bool:
        # Any other end of the attempt (a drain, a takeover, a broken stream) is followed by another attempt.
        return await attempts.run_is_cancelled(self.engine, self.attempt.run_id)
