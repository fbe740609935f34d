"""MCP tools that ask a person or a model in the middle of a call, in whole runs on workers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import Invalid
from app.runs.approvals import Approvals
from app.runs.requests import AnswerInput, ResumeRun
from tests.ai.test_mcp import free_port, wait_for_port
from tests.crash.agents import EFFECTS
from tests.crash.cluster import ROOT, Cluster, Row
from tests.crash.mcp_agents import CURIOUS_URL
from tests.crash.test_mcp_servers import script

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

SEAT = {"action": "accept", "content": {"seat": "12A"}}


@pytest.fixture
async def one(cluster: Cluster) -> AsyncIterator[Cluster]:
    await cluster.start_worker()
    yield cluster


async def waits_for(cluster: Cluster, run_id: str) -> Row:
    (wait,) = (await cluster.waiting(run_id))["waiting_for"]
    return wait


async def answer(cluster: Cluster, run_id: str, wait: Row, **body: Any) -> None:
    request = AnswerInput.model_validate(body)
    await Approvals(cluster.engine).answer_input(run_id, wait["tool_call_id"], request, by="test")


async def results(cluster: Cluster, run_id: str) -> list[Any]:
    run = await cluster.finished(run_id)
    assert run["status"] == "succeeded", run["error"]
    return [json.loads(text) if text.startswith("[") else text for _, text in json.loads(run["output"])]


async def keys(cluster: Cluster, name: str) -> list[str]:
    return [effect["key"].partition(":")[2] for effect in cluster.effects() if effect.get("name") == name]


class HTTPServer:
    """`curious_mcp_server` over HTTP, always at the same port."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._effects = folder / "effects"
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.crash.curious_mcp_server", "--http", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, env={EFFECTS: str(self._effects)})
        wait_for_port(self.port)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.slow
async def test_a_question_is_answered_after_the_worker_and_the_server_were_killed(
    cluster: Cluster, tmp_path: Path
) -> None:
    server = HTTPServer(tmp_path)
    try:
        cluster.environment = {CURIOUS_URL: f"http://127.0.0.1:{server.port}/mcp"}
        worker = await cluster.start_worker()
        run_id = await cluster.start_run("curious_http", script([("book", {})]))
        wait = await waits_for(cluster, run_id)
        assert (wait["kind"], wait["tool"]) == ("input", "book")
        question = wait["metadata"]["questions"]["seat"]
        assert (question["mode"], question["message"]) == ("form", "Which seat?")
        assert question["schema"]["required"] == ["seat"]

        server.kill()
        worker.process.kill()
        await worker.ended()
        with pytest.raises(Invalid, match="too short"):
            await answer(cluster, run_id, wait, action="accept", content={"seat": "1"})
        await answer(cluster, run_id, wait, **SEAT)
        server.start()
        await cluster.start_worker()

        assert await results(cluster, run_id) == [[{"seat": SEAT}]]
        assert await keys(cluster, "book") == ["3"]
        steps = [(step["name"], step["outcome"]) for step in await cluster.steps(run_id)][1:]
        assert steps == [
            ("model", "returned"),
            ("mcp:book", "deferred"),
            ("decision", "returned"),
            ("mcp:book", "returned"),
            ("model", "returned"),
        ]
    finally:
        server.kill()


async def test_what_an_older_server_asks_is_dismissed_and_the_call_made_again_with_the_answers(one: Cluster) -> None:
    run_id = await one.start_run("curious_old", script([("twice", {})]))
    await answer(one, run_id, await waits_for(one, run_id), **SEAT)
    # The call asks its first question again, which is answered by itself, and then the second one.
    wait = await waits_for(one, run_id)
    assert wait["metadata"]["questions"]["1"]["message"] == "Which seat back?"
    await answer(one, run_id, wait, action="decline")
    assert await results(one, run_id) == [[{"first": SEAT}, {"second": {"action": "decline"}}]]
    # A call that has ended is another one for the server.
    assert await keys(one, "twice-dismissed") == ["3", "3:2"]
    assert await keys(one, "twice") == ["3:3"]


@pytest.mark.slow
async def test_a_call_that_must_not_be_repeated_is_made_again_only_by_a_persons_word(one: Cluster) -> None:
    settled = await one.start_run("curious_old", script([("buy", {})]))
    wait = await waits_for(one, settled)
    assert (wait["kind"], wait["metadata"]["said"]) == ("outcome_unknown", "dismissed")
    request = ResumeRun(tool_call_id=wait["tool_call_id"], result="left it")
    await Approvals(one.engine).answer(settled, wait["tool_call_id"], request, by="test")
    assert await results(one, settled) == ["left it"]

    answered = await one.start_run("curious_old", script([("buy", {})]))
    await answer(one, answered, await waits_for(one, answered), **SEAT)
    assert await results(one, answered) == [[{"seat": SEAT}]]
    assert one.effect_counts()["buy"] == 1


async def test_a_model_answers_in_steps_of_its_own_before_a_person_is_asked(one: Cluster) -> None:
    run_id = await one.start_run("curious", script([("think_and_ask", {}), ("think", {})]))
    wait = await waits_for(one, run_id)
    assert (wait["tool"], list(wait["metadata"]["questions"])) == ("think_and_ask", ["seat"])
    assert one.effect_counts()["thought"] == 2
    await answer(one, run_id, wait, **SEAT)

    asked, thought = await results(one, run_id)
    assert asked[0]["seat"] == SEAT
    assert asked[0]["thought"]["content"]["text"] == "on which?"
    assert [answers[name]["content"]["text"] for answers, name in zip(thought, "ab", strict=True)] == [
        "on one",
        "on two",
    ]
    assert one.effect_counts()["thought"] == 3
    sampled = [step for step in await one.steps(run_id) if step["kind"] == "sampling"]
    assert [step["name"] for step in sampled] == ["sampling:think_and_ask", "sampling:think", "sampling:think"]
    assert {(step["model"], step["input_tokens"], step["output_tokens"]) for step in sampled} == {("thinker", 7, 3)}
    assert sampled[0]["input"]["maxTokens"] == 100
    # Both requests of the run itself were estimated; what was asked in between counts too.
    assert (await one.run(run_id))["input_tokens"] > 21


@pytest.mark.slow
async def test_what_an_older_server_asks_a_model_is_kept_with_its_call(one: Cluster) -> None:
    run_id = await one.start_run("curious_old", script([("think", {})]))
    await results(one, run_id)
    (step,) = [step for step in await one.steps(run_id) if step["kind"] == "mcp"]
    assert (step["input_tokens"], step["output_tokens"]) == (14, 6)
    recorded = "select output from dbos.operation_outputs where workflow_uuid = :r and function_id = :s"
    (row,) = await one.query(recorded, r=run_id, s=step["step"])
    requests = json.loads(row["output"])["sampled"]["requests"]
    assert [request["response"]["parts"][0]["content"] for request in requests] == ["on one", "on two"]


async def test_a_large_listing_is_stored_once_for_all_runs_and_shown_in_each(one: Cluster) -> None:
    first = await one.start_run("wordy", script([("book", {})]))
    wait = await waits_for(one, first)
    # The run goes on with the listing that was stored, not with a new one.
    await answer(one, first, wait, **SEAT)
    assert await results(one, first) == [[{"seat": SEAT}]]
    second = await one.start_run("wordy", script([("where", {})]))
    await results(one, second)

    for run_id in (first, second):
        step = (await one.steps(run_id))[0]
        assert (step["name"], step["output"][0]["name"]) == ("list_tools:wordy", "book")
        assert step["output"][0]["description"].startswith("book: word word")
    (kept,) = await one.query("select hash, jsonb_array_length(definitions) as tools from holdfast.tool_definitions")
    assert kept["tools"] == 8
    recorded = "select output from dbos.operation_outputs where function_id = 1 order by workflow_uuid"
    for row in await one.query(recorded):
        assert json.loads(row["output"])["definitions"] == kept["hash"]
        assert len(row["output"]) < 500
