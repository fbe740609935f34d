"""What a provider's wish for a pause does to a run: short ones are waited for, long ones park it until they end."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai.exceptions import ModelAPIError, ModelCoolingDown, ModelHTTPError
from app.ai.retries import Cooldowns
from app.ai.stamps import now_utc
from app.db import cooldowns
from app.durable.failures import RetryLater, RunError

LONGEST_PAUSE: Final = timedelta(hours=24)
"""A provider that asks for more has no quota left: the run fails, a person resumes it."""
TRIES: Final = 10
"""How often one model step is begun before it fails; what a person resumes gets as many again."""

_LONGEST_BACKOFF_SECONDS: Final = 300


@dataclass(frozen=True)
class SharedCooldowns(Cooldowns):
    """Pauses that all workers of the database know of and keep to."""

    engine: AsyncEngine

    async def until(self, endpoint: str) -> datetime | None:
        return await cooldowns.until(self.engine, endpoint)

    async def extend(self, endpoint: str, until: datetime) -> None:
        await cooldowns.extend(self.engine, endpoint, until)


def retry_later(error: Exception, step: int, attempt: int) -> RetryLater | None:
    """How a model request that failed in its `attempt` is to be made again; None: it has failed for good.

    Never sooner than the provider wants, nor than attempts that keep failing deserve, and spread, because everybody
    else who waits for the provider comes back then, too.
    """
    failures = list(_failures(error))
    moments = [failure.retry_at for failure in failures if isinstance(failure, ModelAPIError) and failure.retry_at]
    now = now_utc()
    # With several models in turn, each has to want a pause; the first one to be back will be asked.
    if len(moments) < len(failures) or min(moments) - now > LONGEST_PAUSE or attempt % TRIES == 0:
        return None
    seconds = max((min(moments) - now).total_seconds(), min(2.0**attempt, _LONGEST_BACKOFF_SECONDS))
    moment = now + timedelta(seconds=seconds + random.uniform(0, min(seconds / 10, 30)))
    refused = all(isinstance(failure, ModelHTTPError | ModelCoolingDown) for failure in failures)
    return RetryLater(moment, RunError.of(error, step), billed=not refused)


def _failures(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in cast("ExceptionGroup[Exception]", error).exceptions:
            yield from _failures(inner)
    else:
        yield error
