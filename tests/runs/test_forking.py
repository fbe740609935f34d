"""Forks on a real worker: they take over what was done, do the rest anew, and leave their source alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.runs.test_waiting import Office, office

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def shared(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(crash_database_url, tmp_path_factory.mktemp("office")) as open_office:
        yield open_office


def fork(shared: Office, run_id: str, **body: Any) -> dict[str, Any]:
    answer = shared.http.post(f"/api/runs/{run_id}/fork", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/runs/{answer.json()['run_id']}"
    return answer.json()


def ask_scribe(shared: Office, prompt: str, conversation_id: str | None = None) -> dict[str, Any]:
    body = {"agent": "scribe", "prompt": prompt, "conversation_id": conversation_id}
    return shared.http.post("/api/runs", json=body, headers={"prefer": "wait=40"}).json()


def paid(shared: Office) -> str:
    """A finished run with the steps 1 model, 2 look, 3 decision, 4 pay, 5 model."""
    run_id = shared.start(("look", {}), ("pay", {"amount": 1}))
    shared.settled(run_id)
    shared.decide(run_id, "c1", approve=True)
    shared.answers(run_id)
    names = [step["name"] for step in shared.http.get(f"/api/runs/{run_id}/steps").json()["steps"]]
    assert names == ["model", "tool:look", "decision", "tool:pay", "model"]
    return run_id


def test_a_fork_from_the_last_model_step_makes_no_call_again(shared: Office) -> None:
    run_id = paid(shared)
    before = shared.effects()
    forked = fork(shared, run_id, from_step=5, edits={"metadata": {"try": 2}})
    assert shared.answers(forked["run_id"]) == shared.answers(run_id)
    assert shared.effects() == before
    shown = shared.http.get(f"/api/runs/{forked['run_id']}").json()
    assert (shown["forked_from"], shown["forked_at_step"], shown["metadata"]) == (run_id, 5, {"try": 2})
    # Copies cost nothing: of two model steps only the last one is the fork's own.
    assert (shown["requests"], shown["tool_calls"]) == (1, 0)
    assert shown["conversation_id"] != shared.settled(run_id)["conversation_id"]


def test_a_fork_from_a_decision_asks_anew_and_keeps_what_came_before(shared: Office) -> None:
    run_id = paid(shared)
    before = shared.effects()
    forked = fork(shared, run_id, from_step=3)["run_id"]
    assert [wait["tool"] for wait in shared.settled(forked)["waiting_for"]] == ["pay"]
    shared.decide(forked, "c1", approve=False, message="not this time")
    assert ["pay", "not this time", "denied"] in shared.answers(forked)
    assert shared.effects() == before
    assert ["pay", "paid 1", "success"] in shared.answers(run_id)


def test_a_fork_from_a_message_does_the_step_that_made_it_anew(shared: Office) -> None:
    run_id = paid(shared)
    messages = shared.http.get(f"/api/runs/{run_id}/messages").json()["messages"]
    answer = next(message["position"] for message in reversed(messages) if message["kind"] == "response")
    assert fork(shared, run_id, from_message=answer)["forked_at_step"] == 5
    before = shared.effects()
    forked = fork(shared, run_id, from_message=2)
    assert forked["forked_at_step"] == 1
    assert shared.settled(forked["run_id"])["status"] == "waiting"
    assert shared.effects() - before == {"look": 1}


def test_a_lost_call_is_not_made_by_a_fork_that_takes_over_its_answer(shared: Office) -> None:
    run_id = shared.start(("babble", {}))
    shared.settled(run_id)
    shared.resume(run_id)
    shared.settled(run_id)
    shared.resume(run_id, tool_call_id="c0", result="never mind")
    shared.answers(run_id)
    before = shared.effects()
    last = shared.http.get(f"/api/runs/{run_id}/steps").json()["steps"][-1]["step"]
    assert shared.answers(fork(shared, run_id, from_step=last)["run_id"]) == [["babble", "never mind", "success"]]
    assert shared.effects() == before


def test_a_fork_has_the_history_of_its_source_and_so_has_its_conversation(shared: Office) -> None:
    first = ask_scribe(shared, "one")
    second = ask_scribe(shared, "two", first["conversation_id"])
    forked = fork(shared, second["run_id"], edits={"prompt": "three"})
    assert json.loads(shared.settled(forked["run_id"])["output"]) == ["one", "three"]
    next_one = ask_scribe(shared, "four", forked["conversation_id"])
    assert json.loads(next_one["output"]) == ["one", "three", "four"]
    assert json.loads(ask_scribe(shared, "five", first["conversation_id"])["output"]) == ["one", "two", "five"]
