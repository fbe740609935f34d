"""HTTP transports that try a request again in the way of the `tenacity` package, for one's own HTTP client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

import httpx
from tenacity import AsyncRetrying, RetryCallState, RetryError, Retrying, wait_exponential
from typing_extensions import TypedDict

Check = Callable[[httpx.Response], Any]
"""Raises if a response shall not be taken, such as `httpx.Response.raise_for_status`."""


class RetryConfig(TypedDict, total=False):
    """When to try again, how long to wait before, and when to give up: the arguments of `tenacity.retry`."""

    sleep: Callable[[int | float], Awaitable[None] | None]
    stop: Any
    wait: Any
    retry: Any
    before: Callable[[RetryCallState], Awaitable[None] | None]
    after: Callable[[RetryCallState], Awaitable[None] | None]
    before_sleep: Callable[[RetryCallState], Awaitable[None] | None] | None
    reraise: bool
    """Whether the last error is raised, instead of a `tenacity.RetryError` about it."""
    retry_error_cls: type[RetryError]
    retry_error_callback: Callable[[RetryCallState], Any] | None


class TenacityTransport(httpx.BaseTransport):
    """Sends by `wrapped`, again and again as `config` says; a response that the check refuses counts as not sent."""

    def __init__(
        self,
        config: RetryConfig,
        wrapped: httpx.BaseTransport | None = None,
        validate_response: Check | None = None,
    ):
        self.config = config
        self.wrapped = wrapped or httpx.HTTPTransport()
        self.validate_response = validate_response

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        options: dict[str, Any] = {**self.config}
        return Retrying(**options)(self._send, request)

    def _send(self, request: httpx.Request) -> httpx.Response:
        response = self.wrapped.handle_request(request)
        response.request = request
        if self.validate_response:
            try:
                self.validate_response(response)
            except Exception:
                response.close()
                raise
        return response

    def __enter__(self) -> Self:
        self.wrapped.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.wrapped.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        self.wrapped.close()


class AsyncTenacityTransport(httpx.AsyncBaseTransport):
    """Sends by `wrapped`, again and again as `config` says; a response that the check refuses counts as not sent."""

    def __init__(
        self,
        config: RetryConfig,
        wrapped: httpx.AsyncBaseTransport | None = None,
        validate_response: Check | None = None,
    ):
        self.config = config
        self.wrapped = wrapped or httpx.AsyncHTTPTransport()
        self.validate_response = validate_response

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        options: dict[str, Any] = {**self.config}
        return await AsyncRetrying(**options)(self._send, request)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self.wrapped.handle_async_request(request)
        response.request = request
        if self.validate_response:
            try:
                self.validate_response(response)
            except Exception:
                await response.aclose()
                raise
        return response

    async def __aenter__(self) -> Self:
        await self.wrapped.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.wrapped.__aexit__(exc_type, exc_value, traceback)

    async def aclose(self) -> None:
        await self.wrapped.aclose()


def wait_retry_after(
    fallback_strategy: Callable[[RetryCallState], float] | None = None, max_wait: float = 300
) -> Callable[[RetryCallState], float]:
    """A `wait` that keeps to the header `Retry-After`, `max_wait` seconds at most; else to `fallback_strategy`."""
    fallback = fallback_strategy or wait_exponential(multiplier=1, max=60)

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, httpx.HTTPStatusError):
            asked = _seconds(error.response.headers.get("retry-after", ""))
            if asked is not None and asked > 0:
                return min(asked, max_wait)
        return fallback(state)

    return wait


def _seconds(text: str) -> float | None:
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(tz=UTC)).total_seconds()
