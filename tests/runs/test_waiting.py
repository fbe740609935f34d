"""Runs that wait, on real workers: decided through the API, they go on where they stood."""

from __future__ import annotations

import json
import os
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import until
from tests.cli.test_processes import Process
from tests.crash.agents import EFFECTS

pytestmark = pytest.mark.timeout(120)

MANY = 1000
WARM_UP = 400
PARKED_MIB = 4
"""A parked run is a row and nothing else: what 600 more of them leave in a worker is noise of the allocator."""


@dataclass
class Office:
    """API processes and a worker that run the clerk."""

    services: list[httpx.Client]
    effects_file: Path
    worker: Process

    @property
    def http(self) -> httpx.Client:
        return self.services[0]

    def start(self, *calls: tuple[str, dict[str, Any]]) -> str:
        body = {"agent": "clerk", "prompt": json.dumps(calls)}
        key = {"Idempotency-Key": str(uuid.uuid4())}

        def post() -> httpx.Response | None:
            # A busy machine may answer "not within 2.8 s, try again": then that is what a client does.
            answer = self.http.post("/api/runs", json=body, headers=key)
            return None if answer.status_code == 503 else answer

        response = until(post, 30)
        assert response.status_code == 202, response.text
        return response.json()["run_id"]

    def settled(self, run_id: str) -> dict[str, Any]:
        """The run as soon as it is finished or waits."""
        return self.http.get(f"/api/runs/{run_id}", params={"wait": 40}).json()

    def answers(self, run_id: str) -> Any:
        """What the tools said to the model of a run that succeeded."""
        run = until(lambda: (found := self.settled(run_id))["status"] != "waiting" and found, 40)
        assert run["status"] == "succeeded", run
        return json.loads(run["output"])

    def decide(self, run_id: str, call: str, **decision: Any) -> httpx.Response:
        return self.http.post(f"/api/runs/{run_id}/approvals/{call}", json=decision)

    def resume(self, run_id: str, **answer: Any) -> httpx.Response:
        return self.http.post(f"/api/runs/{run_id}/resume", json=answer or None)

    def effects(self) -> Counter[str]:
        return Counter(effect["name"] for effect in self._effects())

    def keys_of(self, name: str) -> list[str]:
        """The idempotency keys that a tool was called with."""
        return [effect["key"] for effect in self._effects() if effect["name"] == name]

    def _effects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.effects_file.read_text().splitlines()]


@contextmanager
def office(database_url: str, folder: Path, *, apis: int = 1, workers: int = 1) -> Iterator[Office]:
    effects_file = folder / "effects"
    effects_file.touch()
    environment = {"HOLDFAST_AGENTS": "tests.runs.clerk", EFFECTS: str(effects_file), "PYTHONPATH": os.getcwd()}
    with ExitStack() as stack:
        processes: list[Process] = []
        for number, command in enumerate([("worker", "-n", str(workers)), *[("api",)] * apis]):
            place = folder / str(number)
            place.mkdir()
            process = Process(place, database_url, *command, **environment)
            processes.append(process)
            stack.callback(process.stop)
        services: list[httpx.Client] = []
        for process in processes[1:]:
            process.ready()
            limits = httpx.Limits(max_connections=100)
            services.append(stack.enter_context(httpx.Client(base_url=process.url, timeout=60, limits=limits)))
        yield Office(services, effects_file, processes[0])


@pytest.fixture(scope="module")
def shared(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(crash_database_url, tmp_path_factory.mktemp("office")) as open_office:
        yield open_office


def test_an_approved_call_is_made_with_the_arguments_of_the_person(shared: Office) -> None:
    before = shared.effects()
    run_id = shared.start(("pay", {"amount": 7}), ("look", {}))
    waiting = shared.settled(run_id)["waiting_for"]
    assert [(wait["kind"], wait["tool"], wait["args"]) for wait in waiting] == [("approval", "pay", {"amount": 7})]
    assert shared.decide(run_id, "c0", approve=True, args={"amount": "x"}).json()["field"] == "args.amount"
    assert shared.decide(run_id, "c0", approve=True, args={"amount": 5}).status_code == 200
    assert shared.answers(run_id) == [["look", "seen", "success"], ["pay", "paid 5", "success"]]
    assert shared.effects() - before == {"pay": 1, "look": 1}


def test_a_run_and_its_step_are_on_every_line_that_is_logged_within_them(shared: Office) -> None:
    run_id = shared.start(("look", {}), ("pay", {"amount": 1}))
    shared.settled(run_id)
    lines = [json.loads(line) for line in shared.worker.stderr.read_text().splitlines()]
    logged = {line["event"]: line for line in lines if line.get("run_id") == run_id}
    assert {"run begins", "looked", "run stops"} <= set(logged)
    assert (logged["looked"]["logger"], logged["looked"]["step"], logged["looked"]["attempt"]) == (
        "tests.runs.clerk",
        2,
        1,
    )
    assert "step" not in logged["run stops"]
    assert logged["run stops"]["why"] == "Parked"


def test_a_denied_call_is_not_made_and_the_model_reads_why(shared: Office) -> None:
    before = shared.effects()
    run_id = shared.start(("pay", {"amount": 7}))
    shared.settled(run_id)
    assert shared.decide(run_id, "c0", approve=False, message="not before friday").status_code == 200
    assert shared.answers(run_id) == [["pay", "not before friday", "denied"]]
    assert shared.effects() == before


def test_a_tool_can_ask_by_itself_and_each_yes_counts_once(shared: Office) -> None:
    run_id = shared.start(("refund", {"amount": 50}))
    assert shared.settled(run_id)["waiting_for"][0]["metadata"] == {"why": "more than 10"}
    shared.decide(run_id, "c0", approve=True)
    assert shared.answers(run_id) == [["refund", "refunded 50", "success"]]

    stubborn = shared.start(("refund", {"amount": 500}))
    shared.settled(stubborn)
    shared.decide(stubborn, "c0", approve=True)
    again = until(lambda: (shared.settled(stubborn)["waiting_for"] or [None])[0])
    assert again["metadata"] == {"why": "more than 100"}
    listed = shared.http.get("/api/approvals", params={"limit": 2}).json()["approvals"]
    assert [(item["run_id"], item["status"]) for item in listed] == [(stubborn, "open"), (stubborn, "decided")]
    shared.decide(stubborn, "c0", approve=False)
    assert shared.answers(stubborn)[0][2] == "denied"


@pytest.mark.parametrize(
    ("given", "heard"),
    [
        ({"result": {"parcel": 1}}, [{"parcel": 1}, "success"]),
        ({"error": "no such address"}, ["no such address", "failed"]),
    ],
)
def test_a_result_from_outside_goes_to_the_model(shared: Office, given: dict[str, Any], heard: list[Any]) -> None:
    run_id = shared.start(("ship", {"to": "x"}))
    assert shared.settled(run_id)["waiting_for"][0]["kind"] == "external"
    assert shared.resume(run_id, tool_call_id="c0", **given).status_code == 200
    assert shared.answers(run_id) == [["ship", *heard]]


def test_several_answers_of_one_turn_may_come_in_any_order(shared: Office) -> None:
    run_id = shared.start(("pay", {"amount": 1}), ("ship", {"to": "x"}), ("pay", {"amount": 3}))
    assert len(shared.settled(run_id)["waiting_for"]) == 3
    shared.decide(run_id, "c2", approve=True)
    shared.resume(run_id, tool_call_id="c1", result="sent")
    shared.decide(run_id, "c0", approve=False, message="no")
    assert shared.answers(run_id) == [
        ["pay", "no", "denied"],
        ["ship", "sent", "success"],
        ["pay", "paid 3", "success"],
    ]


def test_what_nobody_decides_in_time_is_decided_by_the_tool(shared: Office) -> None:
    run_id = shared.start(("gift", {}), ("reminder", {}))
    answers = shared.answers(run_id)
    assert [answer[2] for answer in answers] == ["denied", "success"]
    decided = shared.http.get("/api/approvals", params={"status": "decided", "limit": 2}).json()["approvals"]
    assert {(item["run_id"], item["decided_by"]) for item in decided} == {(run_id, "deadline")}


def test_a_time_that_is_none_fails_the_run_and_says_where(shared: Office) -> None:
    failed = shared.settled(shared.start(("hurry", {})))
    assert (failed["status"], failed["error"]["type"]) == ("failed", "UserError")
    assert "'hurry'" in failed["error"]["message"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_waiting_runs_cost_no_memory_and_two_apis_at_once_decide_each_of_them_once(
    database_url: str, tmp_path: Path
) -> None:
    with office(database_url, tmp_path, apis=2) as busy, ThreadPoolExecutor(16) as threads:

        def count(status: str) -> int:
            found, cursor = 0, None
            while True:
                given = {"status": status, "limit": 200} | ({"cursor": cursor} if cursor else {})
                page = busy.http.get("/api/runs", params=given).json()
                found += len(page["runs"])
                if (cursor := page["next_cursor"]) is None:
                    return found

        def start(number: int) -> list[str]:
            return list(threads.map(lambda _: busy.start(("pay", {"amount": 1})), range(number)))

        # The first ones fill pools and caches.
        runs = start(WARM_UP)
        until(lambda: count("waiting") == WARM_UP, 100)
        before = resident_mib(busy.worker)
        runs += start(MANY - WARM_UP)
        until(lambda: count("waiting") == MANY, 200)
        after = resident_mib(busy.worker)
        print(
            f"\nresident memory of the worker: {before:.1f} MiB with {WARM_UP} parked runs, {after:.1f} MiB with {MANY}"
        )
        asked = [(service, run_id) for run_id in runs for service in busy.services]
        codes = Counter(
            threads.map(
                lambda ask: ask[0].post(f"/api/runs/{ask[1]}/approvals/c0", json={"approve": True}).status_code, asked
            )
        )
        assert codes == {200: MANY, 409: MANY}
        until(lambda: count("succeeded") == MANY, 200)
        assert busy.effects() == {"pay": MANY}
        assert after - before < PARKED_MIB


def resident_mib(process: Process) -> float:
    """The resident memory of a process."""
    pages = int(Path(f"/proc/{process.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
