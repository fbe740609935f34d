"""Sending messages to runs: stored at once, once only, and refused when the run takes none."""

from __future__ import annotations

from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import MAX_PROMPT_BYTES, Stage, start

SOME_RUN = "00000000-0000-7000-8000-000000000000"


def send(http: httpx.Client, run_id: str, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return http.post(f"/api/runs/{run_id}/messages", json={"content": "also this", **body}, headers=headers)


@pytest.mark.parametrize("status", ["ENQUEUED", "PENDING", "DELAYED"])
def test_a_run_that_has_not_ended_takes_messages(
    http: httpx.Client, stage: Stage, database: psycopg.Connection, status: str
) -> None:
    run_id = start(http)["run_id"]
    stage.set_status(run_id, status)
    answer = send(http, run_id)
    assert answer.status_code == 202
    sent = answer.json()
    assert {name: sent[name] for name in ("run_id", "content", "priority", "sent_by", "taken_at_step")} == {
        "run_id": run_id,
        "content": "also this",
        "priority": "asap",
        "sent_by": "anonymous",
        "taken_at_step": None,
    }
    stored = database.execute("select message_id, content #>> '{}' from holdfast.sent_messages").fetchall()
    assert stored == [(sent["message_id"], "also this")]
    told = http.get(f"/api/runs/{run_id}/events", headers={"Accept": "application/json"}).json()["events"][-1]
    assert (told["type"], told["data"]["message_id"], told["data"]["content"]) == (
        "message_sent",
        sent["message_id"],
        "also this",
    )
    # The state of the run is what it was: a message wakes nobody.
    assert http.get(f"/api/runs/{run_id}").json()["status"] == {"ENQUEUED": "queued", "PENDING": "running"}.get(
        status, "waiting"
    )


def test_content_parts_and_a_priority_can_be_sent(http: httpx.Client) -> None:
    run_id = start(http)["run_id"]
    parts = ["look", {"kind": "image-url", "url": "https://example.com/a.png"}]
    sent = send(http, run_id, content=parts, priority="when_idle").json()
    assert (sent["content"][0], sent["content"][1]["url"], sent["priority"]) == ("look", parts[1]["url"], "when_idle")


@pytest.mark.parametrize("status", ["SUCCESS", "ERROR", "CANCELLED"])
def test_a_run_that_has_ended_takes_none(
    http: httpx.Client, stage: Stage, database: psycopg.Connection, status: str
) -> None:
    run_id = start(http)["run_id"]
    stage.set_status(run_id, status)
    refused = send(http, run_id, key="k")
    assert (refused.status_code, refused.json()["type"]) == (409, "message_too_late")
    assert database.execute("select count(*) from holdfast.sent_messages").fetchall() == [(0,)]
    # A refused request uses up no key.
    assert send(http, start(http)["run_id"], key="k").status_code == 202


def test_a_run_that_is_about_to_end_takes_none(http: httpx.Client, stage: Stage, database: psycopg.Connection) -> None:
    run_id = start(http)["run_id"]
    stage.set_status(run_id, "PENDING")
    database.execute("update holdfast.run_cursors set closed = true")
    refused = send(http, run_id).json()
    assert (refused["type"], refused["detail"]) == (
        "message_too_late",
        f"Run {run_id} is about to end and takes no more messages.",
    )
    stage.set_status(run_id, "ERROR")
    assert http.post(f"/api/runs/{run_id}/resume").status_code == 200
    assert send(http, run_id).status_code == 202


def test_an_unknown_run_takes_none(http: httpx.Client) -> None:
    assert send(http, SOME_RUN).json()["type"] == "unknown_run"


def test_the_same_key_sends_once(http: httpx.Client, stage: Stage, database: psycopg.Connection) -> None:
    run_id = start(http)["run_id"]
    first = send(http, run_id, key="k")
    assert "idempotency-replayed" not in first.headers
    database.execute("update holdfast.sent_messages set taken_at_step = 1")
    stage.succeed(run_id)
    again = send(http, run_id, key="k", priority="asap")
    assert (again.status_code, again.headers["idempotency-replayed"]) == (202, "true")
    assert again.json() == {**first.json(), "taken_at_step": 1}
    assert database.execute("select count(*) from holdfast.sent_messages").fetchall() == [(1,)]


def test_a_key_belongs_to_one_request(http: httpx.Client, stage: Stage) -> None:
    run_id, other = start(http)["run_id"], start(http)["run_id"]
    send(http, run_id, key="k")
    for refused in (
        send(http, run_id, key="k", content="something else"),
        send(http, other, key="k"),
        http.post("/api/runs", json={"agent": "demo", "prompt": "x"}, headers={"Idempotency-Key": "k"}),
    ):
        assert (refused.status_code, refused.json()["type"]) == (422, "idempotency_key_reused")
    stage.succeed(run_id)
    assert http.delete(f"/api/runs/{run_id}").status_code == 204
    deleted = send(http, run_id, key="k")
    assert (deleted.status_code, deleted.json()["type"]) == (409, "run_deleted")


@pytest.mark.parametrize(
    ("body", "problem", "field"),
    [
        ({"content": ""}, "invalid_request", "content"),
        ({"content": []}, "invalid_request", "content"),
        ({"content": [{"kind": "image-ul", "url": "u"}]}, "invalid_request", "content[0]"),
        ({"priority": "soon"}, "invalid_request", "priority"),
        ({"color": "red"}, "invalid_request", "color"),
        ({"content": "a\0b"}, "unstorable_value", "content"),
        ({"content": "x" * (MAX_PROMPT_BYTES + 1)}, "prompt_too_large", "content"),
        (
            {"content": [{"kind": "image-url", "url": "http://10.0.0.1/a.png", "force_download": "allow-local"}]},
            "not_allowed",
            "content[0]",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(http: httpx.Client, body: dict[str, Any], problem: str, field: str) -> None:
    refused = send(http, start(http)["run_id"], **body)
    assert (refused.status_code, refused.json()["type"], refused.json()["field"]) == (422, problem, field)


@pytest.mark.parametrize("way", ["api", "dbos"])
def test_messages_go_with_their_run(http: httpx.Client, stage: Stage, database: psycopg.Connection, way: str) -> None:
    run_id, other = start(http)["run_id"], start(http)["run_id"]
    for target in (run_id, other):
        send(http, target)
    stage.succeed(run_id)
    if way == "api":
        http.delete(f"/api/runs/{run_id}")
    else:
        database.execute("delete from dbos.workflow_status where workflow_uuid = %s", [run_id])
    assert database.execute("select run_id from holdfast.sent_messages").fetchall() == [(other,)]
