"""Forking runs: what is refused, once only, and what a fork protects."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Stage, start


@pytest.mark.parametrize(
    ("body", "problem", "field"),
    [
        ({"from_step": 2}, "no_such_place", "from_step"),
        ({"from_message": 1}, "no_such_place", "from_message"),
        ({"from_step": 0}, "invalid_request", "from_step"),
        ({"from_step": 1, "from_message": 1}, "not_allowed", "body"),
        ({"edits": {"agent": "other"}}, "invalid_request", "edits.agent"),
        ({"edits": {"model": "nonsense"}}, "invalid_request", "edits.model"),
        ({"edits": {"prompt": "x" * 10_001}}, "prompt_too_large", "edits.prompt"),
        ({"edits": {"prompt": ""}}, "invalid_request", "edits.prompt"),
    ],
)
def test_a_fork_that_cannot_be_is_refused(http: httpx.Client, body: dict[str, Any], problem: str, field: str) -> None:
    refused = http.post(f"/api/runs/{start(http)['run_id']}/fork", json=body)
    assert (refused.status_code, refused.json()["type"], refused.json()["field"]) == (422, problem, field)
    assert len(http.get("/api/runs").json()["runs"]) == 1


def test_an_unknown_run_cannot_be_forked(http: httpx.Client) -> None:
    refused = http.post("/api/runs/00000000-0000-7000-8000-000000000000/fork", json={})
    assert refused.json()["type"] == "unknown_run"


def test_the_prompt_stays_when_it_was_sent_already(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.record(run_id, 1, "model", {"kind": "model", "outcome": "returned"})
    refused = http.post(f"/api/runs/{run_id}/fork", json={"from_step": 2, "edits": {"prompt": "x"}})
    assert (refused.json()["type"], refused.json()["field"]) == ("edit_too_late", "edits.prompt")
    assert http.post(f"/api/runs/{run_id}/fork", json={"from_step": 2}).status_code == 202


def test_edits_replace_only_what_they_name(http: httpx.Client) -> None:
    source = start(http, metadata={"a": 1})["run_id"]
    kept = http.post(f"/api/runs/{source}/fork", json={}).json()
    assert (kept["prompt"], kept["metadata"], kept["status"]) == ("hello", {"a": 1}, "queued")
    changed = http.post(f"/api/runs/{source}/fork", json={"edits": {"prompt": ["p"], "metadata": None}}).json()
    assert (changed["prompt"], changed["metadata"]) == (["p"], None)


def test_the_same_key_forks_once(http: httpx.Client) -> None:
    first, second = start(http)["run_id"], start(http)["run_id"]

    def fork(run_id: str, **body: Any) -> httpx.Response:
        return http.post(f"/api/runs/{run_id}/fork", json=body, headers={"idempotency-key": "k"})

    one, again = fork(first), fork(first)
    assert one.json()["run_id"] == again.json()["run_id"]
    assert again.headers["idempotency-replayed"] == "true"
    assert fork(second).json()["type"] == "idempotency_key_reused"
    assert fork(first, from_step=1).json()["type"] == "idempotency_key_reused"


def test_the_history_of_an_unfinished_fork_cannot_be_deleted(http: httpx.Client, stage: Stage) -> None:
    first = start(http)
    stage.succeed(first["run_id"])
    second = start(http, conversation_id=first["conversation_id"])
    http.post(f"/api/runs/{second['run_id']}/cancel")
    forked = http.post(f"/api/runs/{second['run_id']}/fork", json={}).json()["run_id"]
    refused = http.delete(f"/api/runs/{first['run_id']}")
    assert (refused.status_code, refused.json()["type"]) == (409, "run_in_use")
    assert forked in refused.json()["detail"]
    http.post(f"/api/runs/{forked}/cancel")
    assert http.delete(f"/api/runs/{first['run_id']}").status_code == 204
