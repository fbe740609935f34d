"""Answering what tool calls ask: checked against the questions' schemas, once only."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import Stage, start

SEAT = {
    "mode": "form",
    "message": "Which seat?",
    "schema": {"type": "object", "properties": {"seat": {"type": "string", "minLength": 2}}, "required": ["seat"]},
}
SIGN = {"mode": "url", "message": "Sign here.", "url": "https://sign.test/1"}


@pytest.fixture
def run_id(http: httpx.Client, stage: Stage) -> str:
    return asking(http, stage, seat=SEAT)


def asking(http: httpx.Client, stage: Stage, kind: str = "input", **questions: Any) -> str:
    run_id = start(http)["run_id"]
    stage.wait_for(run_id, "c1", kind=kind, metadata={"questions": questions})
    return run_id


def answer(http: httpx.Client, run_id: str, **body: Any) -> httpx.Response:
    return http.post(f"/api/runs/{run_id}/inputs/c1", json=body)


def test_a_filled_in_form_is_recorded_and_wakes_the_run(http: httpx.Client, run_id: str) -> None:
    waiting = http.get(f"/api/runs/{run_id}").json()["waiting_for"][0]
    assert (waiting["kind"], waiting["metadata"]["questions"]) == ("input", {"seat": SEAT})
    answered = answer(http, run_id, action="accept", content={"seat": "12A"})
    assert answered.status_code == 200, answered.text
    assert answered.json()["decision"] == {"answers": {"seat": {"action": "accept", "content": {"seat": "12A"}}}}
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"
    again = answer(http, run_id, action="decline")
    assert (again.status_code, again.json()["type"]) == (409, "already_decided")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "accept", "content": {"seat": "1"}}, "content.seat"),
        ({"action": "accept", "content": {}}, "content.seat"),
        ({"action": "accept"}, "content.seat"),
        ({"action": "accept", "content": {"seat": {"row": 1}}}, "content"),
        ({"action": "decline", "content": {"seat": "12A"}}, "body"),
        ({"action": "perhaps"}, "action"),
        ({"content": {"seat": "12A"}}, "body"),
        ({}, "body"),
        ({"answers": {}}, "answers.seat"),
        ({"answers": {"seat": {"action": "decline"}, "meal": {"action": "decline"}}}, "answers.meal"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_with_its_field(
    http: httpx.Client, run_id: str, body: dict[str, Any], field: str
) -> None:
    refused = answer(http, run_id, **body)
    assert refused.status_code == 422
    assert refused.json()["field"] == field, refused.json()
    assert refused.json()["fix"]
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "waiting"


def test_several_questions_are_answered_by_name(http: httpx.Client, stage: Stage) -> None:
    run_id = asking(http, stage, seat=SEAT, page=SIGN)
    short = answer(http, run_id, answers={"seat": {"action": "accept", "content": {}}, "page": {"action": "accept"}})
    assert short.json()["field"] == "answers.seat.content.seat"
    answers = {"seat": {"action": "accept", "content": {"seat": "12A"}}, "page": {"action": "accept"}}
    assert answer(http, run_id, answers=answers).json()["decision"] == {"answers": answers}


def test_one_word_dismisses_all_questions(http: httpx.Client, stage: Stage) -> None:
    run_id = asking(http, stage, seat=SEAT, page=SIGN)
    decision = answer(http, run_id, action="cancel").json()["decision"]
    assert decision == {"answers": {"seat": {"action": "cancel"}, "page": {"action": "cancel"}}}


def test_a_call_that_ended_without_its_answers_takes_them_or_a_result(http: httpx.Client, stage: Stage) -> None:
    run_id = asking(http, stage, kind="outcome_unknown", seat=SEAT)
    assert answer(http, run_id, action="decline").status_code == 200
    other = asking(http, stage, kind="outcome_unknown", seat=SEAT)
    resumed = http.post(f"/api/runs/{other}/resume", json={"tool_call_id": "c1", "result": "left it"})
    assert resumed.status_code == 200


def test_other_kinds_of_answers_are_refused_with_the_right_way(http: httpx.Client, stage: Stage, run_id: str) -> None:
    for path, body in (
        (f"/api/runs/{run_id}/approvals/c1", {"approve": True}),
        (f"/api/runs/{run_id}/resume", {"tool_call_id": "c1", "result": 1}),
    ):
        refused = http.post(path, json=body)
        assert (refused.status_code, refused.json()["type"]) == (409, "wrong_kind_of_answer")
        assert f"/api/runs/{run_id}/inputs/c1" in refused.json()["fix"]
    approval = start(http)["run_id"]
    stage.wait_for(approval, "c1")
    assert "/approvals/c1" in answer(http, approval, action="accept").json()["fix"]
