"""Who may call a service with and without a key."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app.api.security import AccessRules
from tests.api.conftest import make_test_app, serving, start

KEY = "a-long-random-text"


@pytest.fixture
def locked(database_url: str) -> Iterator[httpx.Client]:
    rules = AccessRules(max_body_bytes=30_000, api_key=KEY)
    with serving(make_test_app(database_url, rules)) as url, httpx.Client(base_url=url) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_a_keyless_service_answers_for_loopback_names(http: httpx.Client, host: str) -> None:
    assert http.get("/api/agents", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "localhost.evil.example", "10.0.0.1", "[::2]"])
def test_a_keyless_service_refuses_other_names(http: httpx.Client, host: str) -> None:
    response = http.get("/api/agents", headers={"host": host})
    assert (response.status_code, response.json()["type"]) == (421, "host_not_allowed")
    assert response.json()["field"] == "Host"


def test_a_configured_name_is_answered(database_url: str) -> None:
    rules = AccessRules(max_body_bytes=30_000, allowed_hosts=("Agents.internal",))
    with serving(make_test_app(database_url, rules)) as url:
        assert httpx.get(f"{url}/api/agents", headers={"host": "agents.internal:80"}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}]
)
def test_the_key_opens_a_locked_service_whatever_its_name(locked: httpx.Client, headers: dict[str, str]) -> None:
    assert locked.get("/api/agents", headers={**headers, "host": "agents.example"}).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer x"}, {"x-api-key": "x"}, {"authorization": KEY}])
def test_a_locked_service_refuses_without_the_key(locked: httpx.Client, headers: dict[str, str]) -> None:
    response = locked.get("/api/agents", headers=headers)
    assert (response.status_code, response.json()["type"]) == (401, "unauthorized")
    assert response.headers["www-authenticate"] == "Bearer"
    assert response.headers["content-type"] == "application/problem+json"


def test_health_needs_no_key(locked: httpx.Client) -> None:
    assert locked.get("/livez").status_code == 200
    assert locked.get("/readyz").status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://evil.example:8000", "null", "http://localhost.evil.example"]
)
def test_a_strangers_page_can_do_nothing_with_a_keyless_service(http: httpx.Client, origin: str) -> None:
    """All that a browser sends without asking first, and with a name of the page's own that points to 127.0.0.1."""
    run_id = start(http)["run_id"]
    page = {"origin": origin}
    body = '{"agent": "demo", "prompt": "hello"}'
    for headers in (
        {**page, "content-type": "text/plain"},
        {"content-type": "text/plain"},
        {**page, "host": "evil.example"},
    ):
        assert http.post("/api/runs", content=body, headers=headers).status_code in (415, 421)
    assert http.post("/api/runs", content=body, headers={"content-type": ""}).status_code == 415
    assert http.post("/api/runs", data={"agent": "demo", "prompt": "x"}).status_code == 415
    refused = http.post(f"/api/runs/{run_id}/cancel", headers=page)
    assert (refused.status_code, refused.json()["field"]) == (421, "Origin")
    assert http.get(f"/api/runs/{run_id}", headers={"host": "evil.example"}).status_code == 421
    assert [run["status"] for run in http.get("/api/runs").json()["runs"]] == ["queued"]


def test_a_page_of_our_own_and_a_configured_one_may_ask(http: httpx.Client, database_url: str) -> None:
    assert http.get("/api/agents", headers={"origin": str(http.base_url)}).status_code == 200
    rules = AccessRules(max_body_bytes=30_000, allowed_hosts=("Agents.internal",))
    with serving(make_test_app(database_url, rules)) as url:
        assert httpx.get(f"{url}/api/agents", headers={"origin": "https://agents.internal"}).status_code == 200


def test_a_strangers_page_has_no_key(locked: httpx.Client) -> None:
    page = {"origin": "https://evil.example", "content-type": "application/json"}
    assert locked.post("/api/runs", content="{}", headers=page).status_code == 401


def test_answers_carry_no_cors_headers(http: httpx.Client) -> None:
    response = http.get("/api/agents", headers={"origin": "https://evil.example"})
    assert not [name for name in response.headers if name.startswith("access-control-")]


def test_the_key_is_not_in_the_repr_of_the_rules() -> None:
    assert KEY not in repr(AccessRules(max_body_bytes=1, api_key=KEY))
