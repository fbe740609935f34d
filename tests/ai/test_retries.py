"""Pauses that providers ask for: how they say it, and who keeps to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.ai import ModelRequest
from app.ai.exceptions import ModelCoolingDown, ModelHTTPError
from app.ai.models import ModelRequestParameters
from app.ai.models.openai import OpenAIChatModel
from app.ai.providers.openai import OpenAIProvider
from app.ai.retries import Cooldowns, asked_pause, send_with_retries, use_cooldowns
from tests.ai.models.chat_server import as_json, completion, serve


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        (503, {"retry-after": "7"}, 7.0),
        (429, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        (429, {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "200ms"}, 0.2),
        (
            429,
            {
                "x-ratelimit-remaining-requests": "12",
                "x-ratelimit-reset-requests": "1h",
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "1m30.5s",
            },
            90.5,
        ),
        (429, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "soon"}, None),
        (503, {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "5"}, None),
        (429, {}, None),
        (400, {"retry-after": "7"}, None),
    ],
)
async def test_a_refusal_says_for_how_long(status: int, headers: dict[str, str], seconds: float | None):
    assert await asked_pause(httpx.Response(status, headers=headers)) == seconds


@pytest.mark.parametrize("how", ["date", "anthropic", "epoch", "epoch in ms"])
async def test_a_refusal_may_name_the_moment(how: str):
    moment = datetime.now(UTC) + timedelta(seconds=100)
    epoch = moment.timestamp()
    headers = {
        "date": {"retry-after": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")},
        "anthropic": {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": f"{moment:%Y-%m-%dT%H:%M:%S}Z",
        },
        "epoch": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{epoch:.0f}"},
        "epoch in ms": {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{epoch * 1000:.0f}"},
    }[how]
    assert await asked_pause(httpx.Response(429, headers=headers)) == pytest.approx(100, abs=2)


class SharedCooldowns(Cooldowns):
    """What processes share, in memory."""

    def __init__(self) -> None:
        self.pauses: dict[str, datetime] = {}

    async def until(self, endpoint: str) -> datetime | None:
        return self.pauses.get(endpoint)

    async def extend(self, endpoint: str, until: datetime) -> None:
        self.pauses[endpoint] = until


def chat_model(url: str, name: str = "m") -> OpenAIChatModel:
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=url, api_key="k"))


async def ask(model: OpenAIChatModel) -> None:
    async with model:
        await model.request([ModelRequest.user_text_prompt("hi")], None, ModelRequestParameters())


async def test_a_long_pause_is_an_error_that_says_until_when():
    refusal = as_json({}, 429, headers={"retry-after": "3600"})
    with serve([refusal]) as server, pytest.raises(ModelHTTPError) as refused:
        await ask(chat_model(server.url))
    assert refused.value.retry_at is not None
    assert refused.value.retry_at - datetime.now(UTC) == pytest.approx(timedelta(hours=1), abs=timedelta(seconds=10))


async def test_others_do_not_ask_during_a_pause():
    refusal = as_json({}, 429, headers={"retry-after": "3600"})
    with serve([refusal, completion()]) as server, use_cooldowns(SharedCooldowns()):
        with pytest.raises(ModelHTTPError):
            await ask(chat_model(server.url))
        with pytest.raises(ModelCoolingDown, match="wants no requests before") as cooling:
            await ask(chat_model(server.url))
        await ask(chat_model(server.url, "another model"))
    assert cooling.value.retry_at is not None
    assert cooling.value.retry_at > datetime.now(UTC) + timedelta(minutes=59)
    assert [request["model"] for request in server.requests] == ["m", "another model"]


async def test_a_short_pause_is_waited_out():
    cooldowns = SharedCooldowns()
    with serve([completion()]) as server:
        model = chat_model(server.url)
        until = datetime.now(UTC) + timedelta(seconds=0.2)
        await cooldowns.extend(f"m at {model.base_url}", until)
        with use_cooldowns(cooldowns):
            await ask(model)
        assert datetime.now(UTC) >= until
    assert len(server.requests) == 1


# When a request is tried again


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which are not waited for."""
    noted: list[float] = []

    async def note(seconds: float) -> None:
        noted.append(seconds)

    monkeypatch.setattr("app.ai.retries.asyncio.sleep", note)
    return noted


async def tries(*answers: httpx.Response | Exception) -> tuple[httpx.Response, int]:
    asked = 0

    async def send() -> httpx.Response:
        nonlocal asked
        asked += 1
        answer = answers[min(asked, len(answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return await send_with_retries(send), asked


def refusal(status: int = 429, body: str = "", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, headers=named, text=body)


OK = httpx.Response(200)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
async def test_a_status_that_may_pass_is_tried_again(status: int, waits: list[float]):
    assert await tries(refusal(status), OK) == (OK, 2)
    assert len(waits) == 1


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 413, 422])
async def test_a_status_that_stays_is_not_tried_again(status: int, waits: list[float]):
    answer, asked = await tries(refusal(status), OK)
    assert (answer.status_code, asked, waits) == (status, 1, [])


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}',
        '{"error": {"type": "invalid_request_error", "code": "context_length_exceeded"}}',
        '{"error": {"code": "content_filter"}}',
        '{"error": {"message": "Request too large for m on tokens per min", "code": "rate_limit_exceeded"}}',
    ],
)
async def test_an_error_that_no_wait_mends_is_not_tried_again(body: str, waits: list[float]):
    answer, asked = await tries(refusal(429, body, retry_after="1"), OK)
    assert (asked, waits, await asked_pause(answer)) == (1, [], None)


async def test_a_server_that_says_so_is_not_asked_again(waits: list[float]):
    assert (await tries(refusal(503, x_should_retry="false"), OK))[1] == 1


async def test_three_tries_are_all(waits: list[float]):
    answer, asked = await tries(refusal(503))
    assert (answer.status_code, asked) == (503, 3)
    assert len(waits) == 2


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ReadError("x"), httpx.RemoteProtocolError("x")])
async def test_a_connection_that_fails_is_tried_again(error: Exception, waits: list[float]):
    assert await tries(error, OK) == (OK, 2)
    with pytest.raises(type(error)):
        await tries(error)


async def test_an_answer_that_is_too_slow_is_not_asked_for_again(waits: list[float]):
    with pytest.raises(httpx.ReadTimeout):
        await tries(httpx.ReadTimeout("x"), OK)


@pytest.mark.parametrize("value", ["soon", "nan", "inf", "-3", "1e999", "", "0"])
async def test_a_wait_that_makes_no_sense_is_our_own(value: str, waits: list[float]):
    await tries(refusal(retry_after=value, x_ratelimit_remaining="0", x_ratelimit_reset=value), OK)
    assert 0 < waits[0] < 1
