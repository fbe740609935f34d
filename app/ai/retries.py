"""Trying a provider's HTTP request again when it was refused or never arrived, and pauses that a provider asks for."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import httpx

from app.ai.stamps import now_utc

if TYPE_CHECKING:
    from app.ai.retry_transports import AsyncTenacityTransport, RetryConfig, TenacityTransport, wait_retry_after

__all__ = (
    "MAX_SECONDS",
    "MAX_TRIES",
    "AsyncTenacityTransport",
    "Cooldowns",
    "RetryConfig",
    "TenacityTransport",
    "asked_pause",
    "end_of_pause",
    "is_for_good",
    "is_worth_retrying",
    "send_with_retries",
    "use_cooldowns",
    "wait_retry_after",
)

MAX_TRIES = 3
MAX_SECONDS = 30.0
"""The longest that all tries and the waits between them may take before another try is made."""

_FIRST_DELAY = 0.5
_RETRY_DELAY = re.compile(rb'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')
_REMAINING = re.compile(r"(.*ratelimit.*)remaining(.*)")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_DURATION_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCHS_BEGIN = 1e9
_FOREVER = 1e8
_FOR_GOOD = re.compile(
    rb'"(?:code|type|status)":\s*"(?:insufficient_quota|billing_hard_limit_reached|context_length_exceeded'
    rb"|string_above_max_length|request_too_large|content_filter|content_policy_violation"
    rb'|ResponsibleAIPolicyViolation|invalid_prompt)"|Request too large'
)
# A kept-alive connection that the server has just closed shows as one of these, too.
_NEVER_ARRIVED = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)


class Cooldowns:
    """Until when an endpoint of a provider wants no requests. This one forgets; durable runs share one in Postgres."""

    async def until(self, endpoint: str) -> datetime | None:
        """The end of the pause that somebody was asked for; None when there is none."""
        return None

    async def extend(self, endpoint: str, until: datetime) -> None:
        """Tell everybody that the endpoint asked for a pause. A longer one that is known already holds."""


_cooldowns: ContextVar[Cooldowns] = ContextVar("_cooldowns", default=Cooldowns())  # noqa: B039 - it has no state


@contextmanager
def use_cooldowns(cooldowns: Cooldowns) -> Generator[None]:
    """Let requests inside the block keep to the pauses that `cooldowns` knows of."""
    token = _cooldowns.set(cooldowns)
    try:
        yield
    finally:
        _cooldowns.reset(token)


async def end_of_pause(endpoint: str) -> datetime | None:
    """Wait out a pause that the endpoint has asked for, if that takes no longer than a request may be tried.

    Returns None when requests may be sent, else the end of the pause.
    """
    started = time.monotonic()
    while until := await _cooldowns.get().until(endpoint):
        left = (until - now_utc()).total_seconds()
        if left <= 0:
            return None
        if time.monotonic() - started + left > MAX_SECONDS:
            return until
        # Those who wait for the same moment do not all come back in it.
        await asyncio.sleep(left + random.uniform(0, max(1.0, left / 4)))
    return None


async def send_with_retries(
    send: Callable[[], Awaitable[httpx.Response]], *, endpoint: str | None = None
) -> httpx.Response:
    """Send a request until it is answered otherwise than with 408, 429 or 5xx, at most `MAX_TRIES` times.

    `send` starts the request anew and returns once the status is known, with the body unread. The last answer is
    returned and the last error raised when the tries or the time are used up. A pause that an answer asks for is
    told to everybody who asks the same endpoint.
    """
    started = time.monotonic()
    for tried in itertools.count(1):
        delay = _backoff(tried)
        try:
            response = await send()
        except _NEVER_ARRIVED:
            if _is_last(tried, started, delay):
                raise
        else:
            if not await _may_be_tried_again(response):
                return response
            if (asked := await asked_pause(response)) is not None:
                delay = asked + random.uniform(0, asked / 4)
                if endpoint is not None:
                    await _cooldowns.get().extend(endpoint, now_utc() + timedelta(seconds=asked))
            if _is_last(tried, started, delay):
                return response
            await response.aclose()
        await asyncio.sleep(delay)
    raise AssertionError("unreachable: the loop has no end")


async def asked_pause(response: httpx.Response) -> float | None:
    """Seconds after which a provider that refused a request for now wants to be asked again, if it says so."""
    if not await _may_be_tried_again(response):
        return None
    headers = response.headers
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(KeyError, ValueError):
            # Some say 0 in one of the two and mean the other.
            if 0 < (seconds := float(headers[name]) * unit) < _FOREVER:
                return seconds
    if at := _http_date(headers.get("retry-after", "")):
        return max((at - now_utc()).total_seconds(), 0.0)
    # Google asks in the body; a body that breaks off asks for nothing.
    if found := _RETRY_DELAY.search(await _body_of(response)):
        return float(found[1])
    return _until_reset(headers) if response.status_code == 429 else None


def _until_reset(headers: httpx.Headers) -> float | None:
    """Seconds until the last of the used-up limits is fresh again: `x-ratelimit-remaining-requests: 0` and its like."""
    pauses: list[float] = []
    for name, value in headers.items():
        if (found := _REMAINING.fullmatch(name)) and value.strip() == "0":
            reset = headers.get(f"{found[1]}reset{found[2]}", "")
            pauses += [seconds for seconds in (_seconds(reset),) if seconds is not None]
    return max(pauses, default=None)


def _seconds(reset: str) -> float | None:
    """Seconds from `6m0s`, `200ms`, a number of seconds, a moment, or its epoch in seconds or milliseconds."""
    with suppress(ValueError):
        number = float(reset)
        if not -_FOREVER < number < 1000 * _EPOCHS_BEGIN * 10:
            return None
        if number < _EPOCHS_BEGIN:
            return number if number > 0 else None
        return max(number / (1000 if number > 1000 * _EPOCHS_BEGIN else 1) - time.time(), 0.0)
    with suppress(ValueError):
        moment = datetime.fromisoformat(reset)
        return max((moment.replace(tzinfo=moment.tzinfo or UTC) - now_utc()).total_seconds(), 0.0)
    if reset and (found := _DURATION.fullmatch(reset)):
        return sum(float(amount or 0) * unit for amount, unit in zip(found.groups(), _DURATION_UNITS, strict=True))
    return None


def _is_last(tried: int, started: float, delay: float) -> bool:
    return tried == MAX_TRIES or time.monotonic() - started + delay > MAX_SECONDS


async def _may_be_tried_again(response: httpx.Response) -> bool:
    if not is_worth_retrying(response.status_code) or response.headers.get("x-should-retry") == "false":
        return False
    return not is_for_good(await _body_of(response))


async def _body_of(response: httpx.Response) -> bytes:
    try:
        return await response.aread()
    except (httpx.TransportError, httpx.StreamError):
        return b""  # it broke off


def is_for_good(body: bytes) -> bool:
    """Whether an error is of a kind that no wait mends; some providers give it a status that asks for another try."""
    return bool(_FOR_GOOD.search(body))


def is_worth_retrying(status: int) -> bool:
    """Whether a request that was answered with this status may be answered better later."""
    return status in (408, 429) or status >= 500


def _backoff(tried: int) -> float:
    return _FIRST_DELAY * 2 ** (tried - 1) * random.uniform(0.75, 1.25)


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None


_TRANSPORTS = ("AsyncTenacityTransport", "RetryConfig", "TenacityTransport", "wait_retry_after")


def __getattr__(name: str) -> Any:
    """The transports of one's own clients; our own requests do without tenacity, which takes time to import."""
    if name not in _TRANSPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from app.ai import retry_transports

    return getattr(retry_transports, name)
