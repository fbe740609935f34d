"""Starting, reading, cancelling, resuming and deleting runs over HTTP."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import Stage, start, until


def test_starting_a_run_answers_202_with_its_place(http: httpx.Client) -> None:
    response = http.post("/api/runs", json={"agent": "demo", "prompt": "hello", "metadata": {"team": 7}})
    run = response.json()
    assert response.status_code == 202
    assert response.headers["location"] == f"/api/runs/{run['run_id']}"
    assert (run["status"], run["agent"], run["prompt"], run["metadata"]) == ("queued", "demo", "hello", {"team": 7})
    assert http.get(response.headers["location"]).json() == run


def test_content_parts_are_stored_in_their_published_form(http: httpx.Client) -> None:
    parts = ["What is this?", {"kind": "image-url", "url": "https://example.com/cat.png"}]
    run = start(http, prompt=parts)
    assert run["prompt"][0] == "What is this?"
    assert run["prompt"][1]["url"] == "https://example.com/cat.png"


def test_the_same_key_and_body_start_one_run(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = http.post("/api/runs", json={"agent": "demo", "prompt": "hello"}, headers=headers)
    again = http.post("/api/runs", json={"prompt": "hello", "agent": "demo", "model": None}, headers=headers)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_simultaneous_requests_with_one_key_start_one_run(http: httpx.Client) -> None:
    found: list[str] = []

    def ask() -> None:
        body = {"agent": "demo", "prompt": "hello"}
        found.append(http.post("/api/runs", json=body, headers={"Idempotency-Key": "k1"}).json()["run_id"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len(http.get("/api/runs").json()["runs"]) == 1


def test_a_key_with_another_body_is_refused(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = http.post("/api/runs", json={"agent": "demo", "prompt": "hello"}, headers=headers).json()
    response = http.post("/api/runs", json={"agent": "demo", "prompt": "other"}, headers=headers)
    assert response.status_code == 422
    assert response.json()["type"] == "idempotency_key_reused"
    assert first["run_id"] in response.json()["detail"]


def test_a_request_that_is_refused_consumes_no_key(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k1"}
    assert http.post("/api/runs", json={"agent": "nobody", "prompt": "x"}, headers=headers).status_code == 422
    body = {"agent": "demo", "prompt": "x", "conversation_id": "none"}
    assert http.post("/api/runs", json=body, headers=headers).status_code == 404
    assert http.post("/api/runs", json={"agent": "demo", "prompt": "x"}, headers=headers).status_code == 202


def test_a_key_is_free_again_after_its_time(http: httpx.Client, database: psycopg.Connection) -> None:
    headers = {"Idempotency-Key": "k1"}
    first = http.post("/api/runs", json={"agent": "demo", "prompt": "hello"}, headers=headers).json()
    database.execute("update holdfast.idempotency_keys set created_at = created_at - interval '25 hours'")
    second = http.post("/api/runs", json={"agent": "demo", "prompt": "other"}, headers=headers).json()
    assert second["run_id"] != first["run_id"]


def test_the_key_of_a_deleted_run_starts_nothing(http: httpx.Client, stage: Stage) -> None:
    headers = {"Idempotency-Key": "k1"}
    run = http.post("/api/runs", json={"agent": "demo", "prompt": "hello"}, headers=headers).json()
    stage.succeed(run["run_id"])
    assert http.delete(f"/api/runs/{run['run_id']}").status_code == 204
    response = http.post("/api/runs", json={"agent": "demo", "prompt": "hello"}, headers=headers)
    assert (response.status_code, response.json()["type"]) == (409, "run_deleted")


def test_prefer_wait_answers_200_when_the_run_finishes(http: httpx.Client, stage: Stage) -> None:
    def finish_soon() -> None:
        run = until(lambda: http.get("/api/runs").json()["runs"])[0]
        stage.set_status(run["run_id"], "PENDING")
        stage.succeed(run["run_id"], "the answer")

    worker = threading.Thread(target=finish_soon)
    worker.start()
    body = {"agent": "demo", "prompt": "hello"}
    response = http.post("/api/runs", json=body, headers={"Prefer": "respond-async, wait=10"})
    worker.join()
    assert response.status_code == 200
    assert response.json()["output"] == "the answer"
    assert response.headers["preference-applied"] == "wait=10"


def test_prefer_wait_answers_202_when_time_is_up(http: httpx.Client) -> None:
    response = http.post("/api/runs", json={"agent": "demo", "prompt": "hello"}, headers={"Prefer": "wait=1"})
    assert (response.status_code, response.json()["status"]) == (202, "queued")


def test_waiting_for_a_run_ends_when_it_waits_for_somebody(http: httpx.Client, stage: Stage) -> None:
    run = start(http)
    timer = threading.Timer(0.3, stage.wait_for_outcome, [run["run_id"], "c1"])
    timer.start()
    waiting = http.get(f"/api/runs/{run['run_id']}", params={"wait": 10}).json()
    timer.join()
    assert waiting["status"] == "waiting"
    assert waiting["waiting_for"][0]["tool_call_id"] == "c1"
    assert waiting["waiting_for"][0]["args"] == {"amount": 3}


def test_waiting_for_a_run_goes_on_while_its_provider_pauses(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.wait_for_provider(run_id)
    timer = threading.Timer(0.5, stage.succeed, [run_id])
    timer.start()
    run = http.get(f"/api/runs/{run_id}", params={"wait": 10}).json()
    timer.join()
    assert (run["status"], run["output"]) == ("succeeded", "done")
    [paused] = [
        event
        for event in http.get(f"/api/runs/{run_id}/events", headers={"Accept": "application/json"}).json()["events"]
        if "waiting" in event["type"]
    ]
    assert [wait["kind"] for wait in paused["data"]["waiting_for"]] == ["retry_at"]


def test_runs_are_listed_newest_first_in_pages(http: httpx.Client) -> None:
    started = [start(http)["run_id"] for _ in range(5)]
    seen: list[str] = []
    parameters: dict[str, Any] = {"limit": 2}
    while True:
        page = http.get("/api/runs", params=parameters).json()
        seen += [run["run_id"] for run in page["runs"]]
        if page["next_cursor"] is None:
            break
        parameters["cursor"] = page["next_cursor"]
    assert seen == started[::-1]


def test_runs_are_filtered_by_agent_status_and_conversation(http: httpx.Client, stage: Stage) -> None:
    first, second = start(http), start(http)
    stage.succeed(first["run_id"])

    def listed(**filters: str) -> list[str]:
        return [run["run_id"] for run in http.get("/api/runs", params=filters).json()["runs"]]

    assert listed(status="succeeded") == [first["run_id"]]
    assert listed(status="queued", agent="demo") == [second["run_id"]]
    assert listed(conversation_id=first["conversation_id"]) == [first["run_id"]]
    assert listed(agent="nobody") == []


def test_a_conversation_goes_on_with_its_history_pinned(
    http: httpx.Client, stage: Stage, database: psycopg.Connection
) -> None:
    first = start(http)
    stage.succeed(first["run_id"])
    second = start(http, conversation_id=first["conversation_id"])
    row = database.execute(
        "select holdfast.to_jsonb_safe(inputs) #> '{args,0,history}' from dbos.workflow_input where workflow_uuid = %s",
        [second["run_id"]],
    ).fetchone()
    assert row is not None
    assert row[0] == [{"run_id": first["run_id"], "through_step": 0}]
    conversation = http.get(f"/api/conversations/{first['conversation_id']}").json()
    assert [run["run_id"] for run in conversation["runs"]] == [first["run_id"], second["run_id"]]
    assert conversation["busy_run_id"] == second["run_id"]


def test_a_busy_conversation_refuses_and_names_the_run(http: httpx.Client) -> None:
    first = start(http)
    body = {"agent": "demo", "prompt": "more", "conversation_id": first["conversation_id"]}
    response = http.post("/api/runs", json=body)
    assert (response.status_code, response.json()["type"]) == (409, "conversation_busy")
    assert first["run_id"] in response.json()["detail"]


def test_one_of_two_simultaneous_runs_of_a_conversation_is_refused(http: httpx.Client, stage: Stage) -> None:
    first = start(http)
    stage.succeed(first["run_id"])
    body = {"agent": "demo", "prompt": "more", "conversation_id": first["conversation_id"]}
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(http.post("/api/runs", json=body).status_code))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 409, 409, 409, 409, 409]


def test_cancel_stops_a_run_and_may_be_repeated(http: httpx.Client) -> None:
    run = start(http)
    for _ in range(2):
        response = http.post(f"/api/runs/{run['run_id']}/cancel")
        assert (response.status_code, response.json()["status"]) == (200, "cancelled")


def test_a_finished_run_cannot_be_cancelled(http: httpx.Client, stage: Stage) -> None:
    run = start(http)
    stage.succeed(run["run_id"])
    response = http.post(f"/api/runs/{run['run_id']}/cancel")
    assert (response.status_code, response.json()["type"]) == (409, "run_finished")


def test_resume_gives_the_result_of_a_call_with_unknown_outcome(
    http: httpx.Client, stage: Stage, database: psycopg.Connection
) -> None:
    run = start(http)
    stage.wait_for_outcome(run["run_id"], "c1")
    response = http.post(f"/api/runs/{run['run_id']}/resume", json={"tool_call_id": "c1", "result": {"paid": True}})
    assert (response.status_code, response.json()["status"]) == (200, "queued")
    row = database.execute("select decision from holdfast.approvals").fetchone()
    assert row == ({"result": {"paid": True}},)


@pytest.mark.parametrize("body", [None, {}])
def test_a_cancelled_run_is_queued_again_by_a_resume_without_a_call(http: httpx.Client, body: Any) -> None:
    run = start(http)
    path = f"/api/runs/{run['run_id']}"
    assert http.post(f"{path}/resume", json=body).json()["type"] == "run_not_resumable"
    http.post(f"{path}/cancel")
    resumed = http.post(f"{path}/resume", json=body)
    assert (resumed.status_code, resumed.json()["status"], resumed.json()["finished_at"]) == (200, "queued", None)


def test_a_step_whose_error_dbos_recorded_is_tried_again_by_a_resume(
    http: httpx.Client, stage: Stage, database: psycopg.Connection
) -> None:
    run_id = start(http)["run_id"]
    stage.record(run_id, 1, "model", {"kind": "model", "outcome": "returned"})
    stage.record(run_id, 2, "decision", {})
    database.execute("update dbos.operation_outputs set output = null, error = '{}' where function_id = 2")
    stage.set_status(run_id, "ERROR")
    assert http.post(f"/api/runs/{run_id}/resume").json()["status"] == "queued"
    assert [step["step"] for step in http.get(f"/api/runs/{run_id}/steps").json()["steps"]] == [1]


def test_a_run_is_not_resumed_into_a_busy_conversation_and_keeps_its_own_busy(http: httpx.Client) -> None:
    first = start(http)
    conversation = first["conversation_id"]
    http.post(f"/api/runs/{first['run_id']}/cancel")
    second = start(http, conversation_id=conversation)
    refused = http.post(f"/api/runs/{first['run_id']}/resume")
    assert (refused.status_code, refused.json()["type"]) == (409, "conversation_busy")
    assert second["run_id"] in refused.json()["detail"]
    http.post(f"/api/runs/{second['run_id']}/cancel")
    assert http.post(f"/api/runs/{first['run_id']}/resume").status_code == 200
    body = {"agent": "demo", "prompt": "x", "conversation_id": conversation}
    assert http.post("/api/runs", json=body).json()["type"] == "conversation_busy"


@pytest.mark.parametrize("parked", [True, False])
def test_resume_of_a_call_nobody_waits_for_is_refused(http: httpx.Client, stage: Stage, parked: bool) -> None:
    run = start(http)
    if parked:
        stage.wait_for_outcome(run["run_id"], "c1")
    response = http.post(f"/api/runs/{run['run_id']}/resume", json={"tool_call_id": "c2", "result": 1})
    assert (response.status_code, response.json()["type"]) == (409, "run_not_waiting")
    assert ("It waits for: c1." in response.json()["detail"]) is parked


def test_a_second_result_for_a_call_is_refused(http: httpx.Client, stage: Stage) -> None:
    run = start(http)
    stage.wait_for_outcome(run["run_id"], "c1")
    path, body = f"/api/runs/{run['run_id']}/resume", {"tool_call_id": "c1", "result": 1}
    assert [http.post(path, json=body).status_code for _ in range(2)] == [200, 409]


def test_a_finished_run_can_be_deleted(http: httpx.Client, stage: Stage, database: psycopg.Connection) -> None:
    run = start(http)
    path = f"/api/runs/{run['run_id']}"
    assert http.delete(path).json()["type"] == "run_not_finished"
    stage.succeed(run["run_id"])
    assert http.delete(path).status_code == 204
    assert http.get(path).status_code == 404
    assert http.delete(path).status_code == 404
    left = database.execute(
        "select (select count(*) from holdfast.run_events) + (select count(*) from holdfast.run_cursors)"
        " + (select count(*) from dbos.workflow_status) + (select count(*) from dbos.workflow_input)"
    ).fetchone()
    assert left == (0,)


def test_history_of_an_unfinished_run_cannot_be_deleted(http: httpx.Client, stage: Stage) -> None:
    first = start(http)
    stage.succeed(first["run_id"])
    second = start(http, conversation_id=first["conversation_id"])
    response = http.delete(f"/api/runs/{first['run_id']}")
    assert (response.status_code, response.json()["type"]) == (409, "run_in_use")
    assert second["run_id"] in response.json()["detail"]


def test_a_queued_run_has_no_steps_and_messages(http: httpx.Client) -> None:
    run = start(http)
    assert http.get(f"/api/runs/{run['run_id']}/steps").json() == {"run_id": run["run_id"], "steps": []}
    assert http.get(f"/api/runs/{run['run_id']}/messages").json() == {"run_id": run["run_id"], "messages": []}


def test_agents_are_listed_and_shown(http: httpx.Client) -> None:
    (agent,) = http.get("/api/agents").json()["agents"]
    assert agent["name"] == "demo"
    assert http.get("/api/agents/demo").json() == {**agent, "versions": []}
    assert http.get("/api/agents/nobody").json()["type"] == "unknown_agent"
