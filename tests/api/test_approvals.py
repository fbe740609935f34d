"""Deciding what runs wait for: validation, once only, and the list of what is open."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import Stage, make_test_app, serving, start


@pytest.fixture
def run_id(http: httpx.Client, stage: Stage) -> str:
    run_id = start(http)["run_id"]
    stage.wait_for(run_id, "c1")
    return run_id


def decide(http: httpx.Client, run_id: str, tool_call_id: str = "c1", **body: Any) -> httpx.Response:
    return http.post(f"/api/runs/{run_id}/approvals/{tool_call_id}", json=body)


def answer(http: httpx.Client, run_id: str, **body: Any) -> httpx.Response:
    return http.post(f"/api/runs/{run_id}/resume", json={"tool_call_id": "c1", **body})


def test_an_approval_is_recorded_with_who_and_when_and_wakes_the_run(http: httpx.Client, run_id: str) -> None:
    decided = decide(http, run_id, approve=True, args={"amount": 2})
    assert decided.status_code == 200
    shown = decided.json()
    assert (shown["status"], shown["decided_by"]) == ("decided", "anonymous")
    assert shown["decision"] == {"approve": True, "args": {"amount": 2}}
    assert shown["decided_at"] > shown["requested_at"]
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"


def test_the_run_goes_on_when_everything_is_decided_in_any_order(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.wait_for(run_id, "c1", "c2", "c3")
    for call in ("c3", "c1"):
        assert decide(http, run_id, call, approve=True).status_code == 200
        assert http.get(f"/api/runs/{run_id}").json()["status"] == "waiting"
    assert decide(http, run_id, "c2", approve=False, message="too much").status_code == 200
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"


def test_a_second_decision_is_refused_with_the_first(http: httpx.Client, run_id: str) -> None:
    first = decide(http, run_id, approve=False, message="no").json()
    second = decide(http, run_id, approve=True)
    assert (second.status_code, second.json()["type"]) == (409, "already_decided")
    assert second.json()["decision"] == {"approve": False, "message": "no"} == first["decision"]
    assert second.json()["decided_by"] == "anonymous"


@pytest.mark.parametrize(
    ("args", "field"),
    [
        ({}, "args.amount"),
        ({"amount": "many"}, "args.amount"),
        ({"amount": 0}, "args.amount"),
        ({"amount": 1, "x": 1}, "args"),
    ],
)
def test_arguments_are_checked_against_the_schema_of_the_tool(
    http: httpx.Client, run_id: str, args: dict[str, Any], field: str
) -> None:
    refused = decide(http, run_id, approve=True, args=args)
    assert (refused.status_code, refused.json()["type"]) == (422, "invalid_arguments")
    assert refused.json()["field"] == field
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "waiting"


@pytest.mark.parametrize(
    "body", [{}, {"approve": "yes"}, {"approve": True, "message": "m"}, {"approve": False, "args": {}}, {"approve": 1}]
)
def test_a_decision_that_makes_no_sense_is_refused(http: httpx.Client, run_id: str, body: dict[str, Any]) -> None:
    refused = http.post(f"/api/runs/{run_id}/approvals/c1", json=body)
    assert refused.status_code == 422
    assert refused.json()["fix"]


def test_what_waits_for_a_result_cannot_be_approved_and_the_other_way_round(
    http: httpx.Client, stage: Stage, run_id: str
) -> None:
    assert answer(http, run_id, result=1).json()["type"] == "wrong_kind_of_answer"
    outside = start(http)["run_id"]
    stage.wait_for(outside, "c1", kind="external")
    assert decide(http, outside, approve=True).json()["type"] == "wrong_kind_of_answer"
    assert answer(http, outside, run_again=True).json()["type"] == "wrong_kind_of_answer"
    assert answer(http, outside, result={"n": None}).json()["status"] == "queued"


@pytest.mark.parametrize("given", [{"result": None}, {"error": "it broke"}, {"run_again": True}])
def test_a_lost_call_has_three_ways_on(
    http: httpx.Client, stage: Stage, database: psycopg.Connection, given: dict[str, Any]
) -> None:
    run_id = start(http)["run_id"]
    stage.wait_for(run_id, "c1", kind="outcome_unknown")
    assert answer(http, run_id, **given).json()["status"] == "queued"
    assert database.execute("select decision from holdfast.approvals").fetchall() == [(given,)]


@pytest.mark.parametrize("given", [{}, {"result": 1, "error": "x"}, {"run_again": False}, {"error": ""}])
def test_an_answer_says_exactly_one_thing(http: httpx.Client, run_id: str, given: dict[str, Any]) -> None:
    assert answer(http, run_id, **given).status_code == 422


def test_questions_of_runs_that_ended_are_closed(http: httpx.Client, run_id: str) -> None:
    http.post(f"/api/runs/{run_id}/cancel")
    assert decide(http, run_id, approve=True).json()["type"] == "run_not_waiting"
    assert [item["status"] for item in http.get("/api/approvals").json()["approvals"]] == ["closed"]


def test_unknown_runs_and_calls_are_refused(http: httpx.Client, run_id: str) -> None:
    nobody = "00000000-0000-7000-8000-000000000000"
    assert decide(http, nobody, approve=True).json()["type"] == "unknown_run"
    assert decide(http, run_id, "c9", approve=True).json()["type"] == "run_not_waiting"


def test_approvals_are_listed_by_status_in_pages(http: httpx.Client, stage: Stage) -> None:
    runs = [start(http)["run_id"] for _ in range(5)]
    for run_id in runs:
        stage.wait_for(run_id, "c1")
    decide(http, runs[2], approve=True)
    seen: list[str] = []
    cursor = None
    while True:
        parameters = {"status": "open", "limit": 2} | ({"cursor": cursor} if cursor else {})
        page = http.get("/api/approvals", params=parameters).json()
        seen += [item["run_id"] for item in page["approvals"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == [runs[4], runs[3], runs[1], runs[0]]
    decided = http.get("/api/approvals", params={"status": "decided"}).json()["approvals"]
    assert [(item["run_id"], item["agent"]) for item in decided] == [(runs[2], "demo")]
    assert http.get("/api/approvals", params={"cursor": "x"}).json()["type"] == "malformed_cursor"
    assert http.get("/api/approvals", params={"cursor": "bnVsbA=="}).json()["type"] == "malformed_cursor"


def test_two_services_decide_one_turn_at_once_and_each_call_is_decided_once(
    database_url: str, http: httpx.Client, stage: Stage
) -> None:
    run_id = start(http)["run_id"]
    calls = [f"c{number}" for number in range(12)]
    stage.wait_for(run_id, *calls)
    with (
        serving(make_test_app(database_url)) as other_url,
        httpx.Client(base_url=other_url, timeout=20) as other,
        ThreadPoolExecutor(8) as threads,
    ):
        asked = [(service, call) for call in calls for service in (http, other)]
        answers = list(threads.map(lambda ask: decide(ask[0], run_id, ask[1], approve=True).status_code, asked))
    assert sorted(answers) == [200] * 12 + [409] * 12
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"
    events = http.get(f"/api/runs/{run_id}/events", headers={"accept": "application/json"}).json()["events"]
    assert [event["type"] for event in events] == ["run_queued", "run_waiting", "run_queued"]
