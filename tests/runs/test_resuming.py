"""Resuming runs that failed or were cancelled, on a real worker: no finished step is done again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.runs.test_waiting import Office, office

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def shared(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(crash_database_url, tmp_path_factory.mktemp("office")) as open_office:
        yield open_office


def steps(shared: Office, run_id: str) -> list[tuple[Any, ...]]:
    found = shared.http.get(f"/api/runs/{run_id}/steps").json()["steps"]
    return [(step["name"], step["outcome"], step["attempt"]) for step in found]


def events(shared: Office, run_id: str) -> list[dict[str, Any]]:
    headers = {"accept": "application/json"}
    return shared.http.get(f"/api/runs/{run_id}/events", headers=headers).json()["events"]


def test_a_failed_run_goes_on_at_the_step_that_failed(shared: Office) -> None:
    before = shared.effects()
    run_id = shared.start(("look", {}), ("stumble", {}))
    failed = shared.settled(run_id)
    assert (failed["status"], failed["error"]["type"]) == ("failed", "RuntimeError")
    assert shared.resume(run_id).json()["status"] in ("queued", "running")
    assert shared.answers(run_id) == [["look", "seen", "success"], ["stumble", "up again", "success"]]
    assert shared.effects() - before == {"look": 1, "stumble": 2}
    assert steps(shared, run_id) == [
        ("model", "returned", 1),
        ("tool:look", "returned", 1),
        ("tool:stumble", "returned", 2),
        ("model", "returned", 1),
    ]
    states = [event["type"] for event in events(shared, run_id) if event["type"].startswith("run_")]
    assert states == ["run_queued", "run_running", "run_failed", "run_queued", "run_running", "run_succeeded"]


def test_a_search_for_tools_is_a_recorded_step(shared: Office) -> None:
    run_id = shared.start(("search_tools", {"queries": ["papers to the cellar"]}))
    found = {"discovered_tools": [{"name": "archive", "description": "Put the papers into the cellar."}]}
    assert shared.answers(run_id) == [["search_tools", found, "success"]]
    assert [name for name, _, _ in steps(shared, run_id)] == ["model", "tool:search_tools", "model"]


def test_loading_a_capability_is_a_recorded_step(shared: Office) -> None:
    run_id = shared.start(("load_capability", {"id": "stamps"}))
    assert shared.answers(run_id) == [["load_capability", {"instructions": "Stamp every paper."}, "success"]]
    assert [name for name, _, _ in steps(shared, run_id)] == ["model", "tool:load_capability", "model"]


def test_a_call_that_was_made_but_could_not_be_kept_is_not_made_again(shared: Office) -> None:
    before = shared.effects()
    run_id = shared.start(("babble", {}))
    assert shared.settled(run_id)["error"]["type"] == "ResultNotSerializable"
    shared.resume(run_id)
    waiting = shared.settled(run_id)
    assert [(wait["kind"], wait["tool"]) for wait in waiting["waiting_for"]] == [("outcome_unknown", "babble")]
    shared.resume(run_id, tool_call_id="c0", result="never mind")
    assert shared.answers(run_id) == [["babble", "never mind", "success"]]
    assert shared.effects() - before == {"babble": 1}


def test_a_lost_call_that_a_person_lets_run_again_gets_a_new_key(shared: Office) -> None:
    run_id = shared.start(("babble", {}))
    shared.settled(run_id)
    shared.resume(run_id)
    lost = shared.settled(run_id)["waiting_for"][0]
    assert lost["metadata"]["idempotency_key"] == f"{run_id}:2"
    shared.resume(run_id, tool_call_id="c0", run_again=True)
    # It fails in the same way, but under another key.
    again = shared.settled(run_id)
    assert (again["status"], again["error"]["type"]) == ("failed", "ResultNotSerializable")
    assert shared.keys_of("babble")[-2:] == [f"{run_id}:2", f"{run_id}:2:2"]


def test_a_cancelled_run_goes_on_and_asks_again(shared: Office) -> None:
    run_id = shared.start(("look", {}), ("pay", {"amount": 4}))
    shared.settled(run_id)
    before = shared.effects()
    assert shared.http.post(f"/api/runs/{run_id}/cancel").json()["status"] == "cancelled"
    shared.resume(run_id)
    assert shared.settled(run_id)["status"] == "waiting"
    shared.decide(run_id, "c1", approve=True)
    assert ["pay", "paid 4", "success"] in shared.answers(run_id)
    assert shared.effects() - before == {"pay": 1}


def test_only_what_ended_without_success_can_be_resumed(shared: Office) -> None:
    run_id = shared.start(("pay", {"amount": 4}))
    shared.settled(run_id)
    refused = shared.resume(run_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "run_not_resumable")
    shared.decide(run_id, "c0", approve=False)
    shared.answers(run_id)
    assert shared.resume(run_id).json()["type"] == "run_not_resumable"
