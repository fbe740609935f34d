"""Messages to runs on real workers: to runs that wait, that are resumed, forked, or are history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.runs.test_forking import ask_scribe, fork
from tests.runs.test_waiting import Office, office

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def shared(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(crash_database_url, tmp_path_factory.mktemp("office")) as open_office:
        yield open_office


def send(shared: Office, run_id: str, content: Any, **body: Any) -> dict[str, Any]:
    answer = shared.http.post(f"/api/runs/{run_id}/messages", json={"content": content, **body})
    assert answer.status_code == 202, answer.text
    return answer.json()


def steps(shared: Office, run_id: str) -> list[str]:
    return [step["name"] for step in shared.http.get(f"/api/runs/{run_id}/steps").json()["steps"]]


def messages(shared: Office, run_id: str) -> list[list[Any]]:
    found = shared.http.get(f"/api/runs/{run_id}/messages").json()["messages"]
    return [[part.get("tool_name", part.get("content")) for part in item["message"]["parts"]] for item in found]


def waiting(shared: Office) -> str:
    """A run that has looked, and waits for a yes to pay."""
    run_id = shared.start(("look", {}), ("pay", {"amount": 1}))
    assert shared.settled(run_id)["status"] == "waiting"
    return run_id


ANSWER = json.dumps([["look", "seen", "success"], ["pay", "paid 1", "success"]])


def test_a_waiting_run_keeps_a_message_until_it_goes_on(shared: Office) -> None:
    run_id = waiting(shared)
    prompt = json.dumps([["look", {}], ["pay", {"amount": 1}]])
    send(shared, run_id, "be quick")
    send(shared, run_id, "say thanks", priority="when_idle")
    assert shared.settled(run_id)["status"] == "waiting"
    shared.decide(run_id, "c1", approve=True)
    # Asked once more when it would have ended, the clerk has nothing to tell of.
    assert shared.answers(run_id) == []
    expected = ["model", "tool:look", "decision", "tool:pay", "messages", "model", "messages", "model"]
    assert steps(shared, run_id) == expected
    # No result of a tool is missing, though the request that the model step shows is the message.
    told = [[prompt], ["look", "pay"], ["look"], ["pay"], ["be quick"], [ANSWER], ["say thanks"], ["[]"]]
    assert messages(shared, run_id) == told


def test_later_runs_of_the_conversation_know_what_was_sent(shared: Office) -> None:
    run_id = waiting(shared)
    send(shared, run_id, ["be", "quick"])
    shared.decide(run_id, "c1", approve=True)
    assert shared.answers(run_id) == json.loads(ANSWER)
    later = ask_scribe(shared, "what was asked?", shared.settled(run_id)["conversation_id"])
    assert later["status"] == "succeeded", later
    assert json.loads(later["output"])[1:] == [["be", "quick"], "what was asked?"]


def test_a_cancelled_run_takes_its_messages_when_it_is_resumed(shared: Office) -> None:
    run_id = waiting(shared)
    send(shared, run_id, "be quick")
    assert shared.http.post(f"/api/runs/{run_id}/cancel").json()["status"] == "cancelled"
    refused = shared.http.post(f"/api/runs/{run_id}/messages", json={"content": "hello?"})
    assert (refused.status_code, refused.json()["type"]) == (409, "message_too_late")
    shared.resume(run_id)
    assert shared.settled(run_id)["status"] == "waiting"
    shared.decide(run_id, "c1", approve=True)
    shared.answers(run_id)
    assert ["be quick"] in messages(shared, run_id)


def test_a_fork_takes_over_the_messages_that_were_taken_before_it_leaves(shared: Office) -> None:
    run_id = waiting(shared)
    send(shared, run_id, "be quick")
    shared.decide(run_id, "c1", approve=True)
    shared.answers(run_id)
    assert steps(shared, run_id)[4:] == ["messages", "model"]
    with_it = fork(shared, run_id, from_step=6)["run_id"]
    assert shared.answers(with_it) == json.loads(ANSWER)
    assert messages(shared, with_it) == messages(shared, run_id)
    without = fork(shared, run_id, from_step=5)["run_id"]
    shared.answers(without)
    assert steps(shared, without)[4:] == ["model"]
    assert ["be quick"] not in messages(shared, without)


@pytest.mark.parametrize("priority", ["asap", "when_idle"])
def test_whatever_was_accepted_is_heard_before_the_run_ends(shared: Office, priority: str) -> None:
    """Sent as fast as can be while the run goes on: it ends between two of them, at a moment that nobody chose."""
    run_id = shared.http.post("/api/runs", json={"agent": "scribe", "prompt": "go"}).json()["run_id"]
    accepted: list[str] = []
    while len(accepted) < 40:
        body = {"content": f"number {len(accepted)}", "priority": priority}
        answer = shared.http.post(f"/api/runs/{run_id}/messages", json=body)
        if answer.status_code == 409:
            break
        assert answer.status_code == 202, answer.text
        accepted.append(body["content"])
    run = shared.settled(run_id)
    assert run["status"] == "succeeded", run["error"]
    assert json.loads(run["output"]) == ["go", *accepted]
    assert shared.http.post(f"/api/runs/{run_id}/messages", json={"content": "too late"}).status_code == 409
