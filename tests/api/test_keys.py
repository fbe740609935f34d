"""Keys of callers: scopes, ends, and what is kept of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import httpx
import psycopg
import pytest

from app.api.security import AccessRules, scope_needed
from app.db.engine import make_engine
from app.errors import HoldfastError
from app.runs.keys import SCOPES, Keys, Scope
from tests.api.conftest import Stage, make_test_app, serving

T = TypeVar("T")

BOOTSTRAP = "a-long-random-text"
SOME_RUN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def locked(database_url: str) -> Iterator[httpx.Client]:
    rules = AccessRules(max_body_bytes=30_000, api_key=BOOTSTRAP)
    with serving(make_test_app(database_url, rules)) as url, httpx.Client(base_url=url) as client:
        yield client


class Keyring:
    """Makes and ends keys, as `holdfast keys` does."""

    def __init__(self, url: str) -> None:
        self._url = url

    def make(self, *scopes: Scope, name: str = "ci", lifetime: timedelta | None = None) -> str:
        return self._use(lambda keys: keys.create(name, scopes, lifetime=lifetime)).text

    def revoke(self, name: str) -> None:
        self._use(lambda keys: keys.revoke(name))

    def _use(self, use: Callable[[Keys], Awaitable[T]]) -> T:
        async def run() -> T:
            engine = make_engine(self._url)
            try:
                return await use(Keys(engine))
            finally:
                await engine.dispose()

        return asyncio.run(run())


@pytest.fixture
def keyring(database_url: str) -> Keyring:
    return Keyring(database_url)


def start(http: httpx.Client, key: str, **headers: str) -> httpx.Response:
    return http.post("/api/runs", json={"agent": "demo", "prompt": "hi"}, headers={"x-api-key": key, **headers})


def test_a_key_may_do_what_its_scopes_say(locked: httpx.Client, keyring: Keyring) -> None:
    reader, runner = keyring.make("read", name="reader"), keyring.make("run", name="runner")
    assert locked.get("/api/runs", headers={"authorization": f"Bearer {reader}"}).status_code == 200
    refused = start(locked, reader)
    assert (refused.status_code, refused.json()["type"]) == (403, "forbidden")
    assert "'run'" in refused.json()["detail"]
    assert start(locked, runner).status_code == 202
    assert locked.get("/api/runs", headers={"x-api-key": runner}).status_code == 403


def test_an_approver_decides_under_its_name(locked: httpx.Client, keyring: Keyring, stage: Stage) -> None:
    approver, admin = keyring.make("approve", name="boss"), keyring.make("admin", name="root")
    run_id = start(locked, BOOTSTRAP).json()["run_id"]
    stage.wait_for(run_id, "c1")
    path = f"/api/runs/{run_id}/approvals/c1"
    runner = keyring.make("run", name="runner")
    assert locked.post(path, json={"approve": True}, headers={"x-api-key": runner}).status_code == 403
    assert locked.post(path, json={"approve": True}, headers={"x-api-key": approver}).json()["decided_by"] == "boss"
    assert locked.get("/api/approvals", headers={"x-api-key": admin}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/api/runs", "read"),
        ("POST", "/api/runs", "run"),
        ("POST", f"/api/runs/{SOME_RUN}/cancel", "run"),
        ("DELETE", f"/api/runs/{SOME_RUN}", "run"),
        ("POST", f"/api/runs/{SOME_RUN}/messages", "run"),
        ("POST", f"/api/runs/{SOME_RUN}/approvals/c1", "approve"),
        ("POST", f"/api/runs/{SOME_RUN}/inputs/c1", "approve"),
        ("PUT", "/api/agents/a", "admin"),
    ],
)
def test_what_a_request_needs(method: str, path: str, scope: str) -> None:
    assert scope_needed(method, path) == scope


def test_a_revoked_key_and_an_expired_one_are_no_keys(
    locked: httpx.Client, keyring: Keyring, database: psycopg.Connection
) -> None:
    revoked, expired = keyring.make("admin", name="a"), keyring.make("admin", name="b", lifetime=timedelta(hours=1))
    assert {start(locked, key).status_code for key in (revoked, expired)} == {202}
    keyring.revoke("a")
    database.execute("update holdfast.api_keys set expires_at = clock_timestamp() where name = 'b'")
    assert {start(locked, key).status_code for key in (revoked, expired)} == {401}


def test_what_only_looks_like_a_key_is_refused(locked: httpx.Client, keyring: Keyring) -> None:
    key = keyring.make("admin")
    for wrong in (key[:-1], key + "x", key.upper(), "hf_", "hf__", f"hf_{key.split('_')[1]}_", "hf_'_x", "hf_é_x", ""):
        headers = [(b"x-api-key", wrong.encode())]
        assert locked.get("/api/agents", headers=headers).status_code == 401, wrong
    assert locked.get("/api/agents", headers={"x-api-key": key}).status_code == 200


def test_the_database_holds_no_key_and_knows_when_it_was_used(
    locked: httpx.Client, keyring: Keyring, database: psycopg.Connection
) -> None:
    key = keyring.make("read")
    assert database.execute("select last_used_at from holdfast.api_keys").fetchone() == (None,)
    locked.get("/api/agents", headers={"x-api-key": key})
    row: Any = database.execute("select last_used_at, to_jsonb(k)::text from holdfast.api_keys as k").fetchone()
    assert row[0] is not None
    assert key.split("_", 2)[2] not in row[1]


def test_names_are_given_once_and_never_those_of_the_service(keyring: Keyring) -> None:
    keyring.make("read", name="ci")
    for name in ("ci", "bootstrap", "anonymous", "deadline"):
        with pytest.raises(HoldfastError, match=name):
            keyring.make("read", name=name)


def test_idempotency_keys_of_two_callers_do_not_meet(locked: httpx.Client, keyring: Keyring) -> None:
    one, two = keyring.make("run", name="one"), keyring.make("run", name="two")
    ids = [start(locked, key, **{"idempotency-key": "k"}).json()["run_id"] for key in (one, two, one)]
    assert ids[0] == ids[2] != ids[1]


def test_all_scopes_are_known_to_the_command_line() -> None:
    from app.cli import keys

    assert keys._SCOPES == SCOPES
