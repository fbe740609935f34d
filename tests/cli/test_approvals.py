"""Answering waiting runs from a terminal."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.api.conftest import Stage, start
from tests.cli.test_runs import Holdfast, holdfast

__all__ = ["holdfast"]


@pytest.fixture
def run_id(http: httpx.Client, stage: Stage) -> str:
    run_id = start(http)["run_id"]
    stage.wait_for(run_id, "c1", "c2")
    return run_id


def test_what_waits_is_listed_approved_and_denied(holdfast: Holdfast, http: httpx.Client, run_id: str) -> None:
    header, *lines = holdfast("approvals").stdout.splitlines()
    assert header.split("\t")[:2] == ["run_id", "tool_call_id"]
    assert [line.split("\t")[:2] for line in lines] == [[run_id, "c2"], [run_id, "c1"]]
    assert holdfast("runs", "approve", run_id, "c1", "--args", '{"amount": 1}').stdout == "decided\n"
    assert holdfast("runs", "deny", run_id, "c2", "--message", "too much").stdout == "decided\n"
    decided = json.loads(holdfast("approvals", "--status", "decided", "--json").stdout)["approvals"]
    assert [item["decision"] for item in decided] == [
        {"approve": False, "message": "too much"},
        {"approve": True, "args": {"amount": 1}},
    ]
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"


def test_what_a_call_asks_is_answered(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    schema = {"type": "object", "properties": {"seat": {"type": "string"}}, "required": ["seat"]}
    questions = {name: {"mode": "form", "message": "Seat?", "schema": schema} for name in ("there", "back")}
    run_id = start(http)["run_id"]
    stage.wait_for(run_id, "c1", kind="input", metadata={"questions": {"there": questions["there"]}})
    stage.wait_for(run_id, "c2", "c3", kind="input", metadata={"questions": questions})
    assert holdfast("runs", "answer", run_id, "c1", "--content", '{"seat": "12A"}').stdout == "decided\n"
    assert holdfast("runs", "answer", run_id, "c2", "--decline").stdout == "decided\n"
    each = {"there": {"action": "accept", "content": {"seat": "12A"}}, "back": {"action": "cancel"}}
    shown = json.loads(holdfast("runs", "answer", run_id, "c3", "--answers", json.dumps(each), "--json").stdout)
    assert shown["decision"] == {"answers": each}
    assert http.get(f"/api/runs/{run_id}").json()["status"] == "queued"


def test_a_cancelled_run_is_resumed_forked_and_deleted(holdfast: Holdfast, http: httpx.Client, run_id: str) -> None:
    holdfast("runs", "cancel", run_id)
    forked = holdfast("runs", "fork", run_id, "--prompt", "otherwise").stdout.strip()
    assert http.get(f"/api/runs/{forked}").json()["prompt"] == "otherwise"
    edits = ("--edit", 'metadata={"why": "again"}', "--edit", "model=openai:gpt-5.2")
    edited = json.loads(holdfast("runs", "fork", run_id, "--from-step", "1", *edits, "--json").stdout)
    assert (edited["metadata"], edited["forked_from"], edited["forked_at_step"]) == ({"why": "again"}, run_id, 1)
    for refused in (("--edit", "metadata"), ("--edit", "nothing=1"), ("--from-message", "7"), ("--from-step", "0")):
        assert holdfast("runs", "fork", run_id, *refused).returncode == 2
    assert holdfast("runs", "resume", run_id).stdout == "queued\n"
    assert holdfast("runs", "delete", run_id).returncode == 2
    holdfast("runs", "cancel", run_id)
    assert holdfast("runs", "delete", run_id).returncode == 0
    assert http.get(f"/api/runs/{run_id}").status_code == 404


def test_a_lost_call_is_answered(holdfast: Holdfast, http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.wait_for_outcome(run_id, "c1")
    assert holdfast("runs", "resume", run_id, "c1").returncode == 2
    assert holdfast("runs", "resume", run_id, "--result", "1").returncode == 2
    assert holdfast("runs", "resume", run_id, "c1", "--result", "{").returncode == 2
    assert holdfast("runs", "resume", run_id, "c1", "--result", '"paid"').stdout == "queued\n"
