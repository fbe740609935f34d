"""Transports that try again as tenacity says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from tenacity import (
    Future,
    RetryCallState,
    RetryError,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_fixed,
)

import app.ai.retries
from app.ai.retries import AsyncTenacityTransport, RetryConfig, TenacityTransport, wait_retry_after

URL = "http://provider.test/"
ON_STATUS = RetryConfig(retry=retry_if_exception_type(httpx.HTTPStatusError), stop=stop_after_attempt(3), reraise=True)


def server(*statuses: int) -> tuple[httpx.MockTransport, list[httpx.Response]]:
    given: list[httpx.Response] = []

    def answer(request: httpx.Request) -> httpx.Response:
        given.append(httpx.Response(statuses[min(len(given), len(statuses) - 1)]))
        return given[-1]

    return httpx.MockTransport(answer), given


async def test_a_request_is_sent_again_until_its_answer_is_accepted():
    wrapped, given = server(503, 429, 200)
    transport = AsyncTenacityTransport(ON_STATUS, wrapped, lambda response: response.raise_for_status())
    async with httpx.AsyncClient(transport=transport) as client:
        assert (await client.get(URL)).status_code == 200
    assert [response.status_code for response in given] == [503, 429, 200]
    assert all(response.is_closed for response in given)


def test_so_is_one_that_is_not_async():
    wrapped, given = server(503, 200)
    transport = TenacityTransport(ON_STATUS, wrapped, lambda response: response.raise_for_status())
    with httpx.Client(transport=transport) as client:
        assert client.get(URL).status_code == 200
    assert len(given) == 2


async def test_without_a_check_every_answer_is_accepted():
    wrapped, given = server(503)
    async with httpx.AsyncClient(transport=AsyncTenacityTransport(ON_STATUS, wrapped)) as client:
        assert (await client.get(URL)).status_code == 503
    assert len(given) == 1


@pytest.mark.parametrize(("reraise", "error"), [(True, httpx.HTTPStatusError), (False, RetryError)])
async def test_the_last_error_is_raised_or_told_of(reraise: bool, error: type[Exception]):
    wrapped, given = server(503)
    config = RetryConfig(**{**ON_STATUS, "reraise": reraise})
    transport = AsyncTenacityTransport(config, wrapped, lambda response: response.raise_for_status())
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(error):
            await client.get(URL)
    assert len(given) == 3


def test_the_wait_that_the_provider_asks_for_is_kept():
    wait = wait_retry_after(fallback_strategy=wait_fixed(9), max_wait=60)
    assert wait(state("5")) == 5
    assert wait(state("500")) == 60
    assert wait(state(None)) == wait(state("soon")) == wait(state("0")) == 9
    in_half_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert 20 < wait(state(in_half_a_minute)) <= 30
    assert wait_retry_after()(state("7")) == 7


def state(retry_after: str | None) -> RetryCallState:
    """A try that was answered by 429."""
    request = httpx.Request("GET", URL)
    headers = {"retry-after": retry_after} if retry_after is not None else {}
    error = httpx.HTTPStatusError("429", request=request, response=httpx.Response(429, headers=headers))
    made = RetryCallState(Retrying(), None, (), {})
    made.outcome = Future.construct(1, error, has_exception=True)
    return made


def test_the_module_has_no_other_late_names():
    with pytest.raises(AttributeError, match="nothing"):
        getattr(app.ai.retries, "nothing")  # noqa: B009 - it is not there
