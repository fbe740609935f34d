"""Trying a provider's HTTP request again when it was refused or never arrived."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx

from app.ai.stamps import now_utc

MAX_TRIES = 3
MAX_SECONDS = 30.0
"""The longest that all tries and the waits between them may take before another try is made."""

_FIRST_DELAY = 0.5
_RETRY_DELAY = re.compile(rb'"retryDelay":\s*"(\d+(?:\.\d+)?)s"')
# A kept-alive connection that the server has just closed shows as one of these, too.
_NEVER_ARRIVED = (httpx.NetworkError, httpx.ConnectTimeout, httpx.RemoteProtocolError)


async def send_with_retries(send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Send a request until it is answered otherwise than with 408, 429 or 5xx, at most `MAX_TRIES` times.

    `send` starts the request anew and returns once the status is known, with the body unread. The last answer is
    returned and the last error raised when the tries or the time are used up.
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
            if _is_worth_retrying(response.status_code):
                delay = await _asked_delay(response, delay)
            if not _is_worth_retrying(response.status_code) or _is_last(tried, started, delay):
                return response
            await response.aclose()
        await asyncio.sleep(delay)
    raise AssertionError("unreachable: the loop has no end")


def _is_last(tried: int, started: float, delay: float) -> bool:
    return tried == MAX_TRIES or time.monotonic() - started + delay > MAX_SECONDS


def _is_worth_retrying(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _backoff(tried: int) -> float:
    return _FIRST_DELAY * 2 ** (tried - 1) * random.uniform(0.75, 1.25)


async def _asked_delay(response: httpx.Response, default: float) -> float:
    """Seconds to wait: what the provider asks for, else the default."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            return max(float(response.headers[name]) * unit, 0.0)
        except (KeyError, ValueError):
            continue
    if at := _http_date(response.headers.get("retry-after", "")):
        return max((at - now_utc()).total_seconds(), 0.0)
    # Google asks in the body; a body that breaks off asks for nothing.
    with suppress(httpx.TransportError):
        if found := _RETRY_DELAY.search(await response.aread()):
            return float(found[1])
    return default


def _http_date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except ValueError:
        return None
