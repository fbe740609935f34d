"""Whole runs on workers with real MCP servers, killed in the middle of a call, between calls and while listing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.db.waits import Wait, decide
from tests.crash.cluster import Cluster, until
from tests.crash.mcp_agents import SECRET

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
async def one(cluster: Cluster) -> AsyncIterator[Cluster]:
    await cluster.start_worker()
    yield cluster


def script(*turns: list[tuple[str, dict[str, Any]]]) -> str:
    return json.dumps(turns)


def kill_server(cluster: Cluster, name: str) -> int:
    """Kill the server that last left this effect."""
    pid = [effect["pid"] for effect in cluster.effects() if effect.get("name") == name][-1]
    os.kill(pid, signal.SIGKILL)
    return pid


async def outcomes(cluster: Cluster, run_id: str) -> list[tuple[str, str | None, int]]:
    return [(row["name"], row["outcome"], row["attempts"]) for row in await cluster.steps(run_id)]


async def test_a_server_killed_in_an_idempotent_call_is_replaced_and_asked_again(one: Cluster) -> None:
    run_id = await one.start_run("killable", script([("look", {})]))
    await one.effect("look")
    kill_server(one, "look")
    run = await one.finished(run_id)
    assert json.loads(run["output"]) == [["look", "look done"]]
    assert one.effect_counts()["look"] == 2
    assert ("mcp:look", "returned", 1) in await outcomes(one, run_id)


async def test_a_server_killed_in_a_call_that_is_not_idempotent_is_not_asked_again(one: Cluster) -> None:
    run_id = await one.start_run("killable", script([("spend", {})]))
    await one.effect("spend")
    kill_server(one, "spend")
    waiting = (await one.waiting(run_id))["waiting_for"]
    assert [(wait["kind"], wait["tool"]) for wait in waiting] == [("outcome_unknown", "spend")]
    wait = Wait("call-0-0-spend", "outcome_unknown", "spend")
    await decide(one.engine, run_id, wait, {"result": "it was spent"}, decided_by="test")
    run = await one.finished(run_id)
    assert json.loads(run["output"]) == [["spend", "it was spent"]]
    assert one.effect_counts()["spend"] == 1


async def test_a_server_killed_between_the_calls_of_a_run_is_replaced(one: Cluster) -> None:
    run_id = await one.start_run("killable", script([("whoami", {})], [("look", {})], [("whoami", {})]))
    # The second call hangs, so the kill of its server comes after one call and before another.
    await one.effect("look")
    first = kill_server(one, "look")
    run = await one.finished(run_id)
    pids = [int(text) for tool, text in json.loads(run["output"]) if tool == "whoami"]
    assert pids[0] == first
    assert pids[1] != first


async def test_a_server_killed_between_runs_is_replaced(one: Cluster) -> None:
    await one.finished(await one.start_run("killable", script([("whoami", {})])))
    first = kill_server(one, "whoami")
    run = await one.finished(await one.start_run("killable", script([("whoami", {})])))
    assert json.loads(run["output"])[0][1] != str(first)


async def test_a_server_killed_while_it_lists_its_tools_is_asked_again(one: Cluster) -> None:
    run_id = await one.start_run("killable_listing", script([("whoami", {})]))
    await one.effect("listing")
    kill_server(one, "listing")
    assert (await one.finished(run_id))["status"] == "succeeded"
    assert (await outcomes(one, run_id))[0] == ("list_tools:killable_listing", "returned", 1)


async def test_a_server_that_is_down_does_not_matter_to_a_replay(one: Cluster) -> None:
    run_id = await one.start_run("killable", script([("whoami", {})]), crash="4:begun")
    await one.effect("whoami")
    Path(f"{one.effects_file}.down").touch()
    await one.workers[0].ended()
    await one.start_worker()
    run = await one.finished(run_id)
    assert (run["status"], run["recovery_attempts"]) == ("succeeded", 2)
    assert one.effect_counts()["whoami"] == 1
    again = await one.finished(await one.start_run("killable", script([("whoami", {})])))
    assert again["status"] == "failed"
    assert "down for maintenance" in again["error"]["message"]


async def test_the_time_server_answers_in_a_run(one: Cluster) -> None:
    calls = [
        ("get_current_time", {"timezone": "Asia/Tokyo"}),
        ("convert_time", {"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}),
    ]
    run = await one.finished(await one.start_run("time", script(calls)))
    now, converted = (json.loads(text) for _, text in json.loads(run["output"]))
    assert now["timezone"] == "Asia/Tokyo"
    assert "T21:00" in converted["target"]["datetime"]


async def test_tools_that_a_call_brings_are_listed_by_another_step(one: Cluster) -> None:
    run_id = await one.start_run("growing", script([("grow", {})], [("extra_1", {})]), crash="6:recorded")
    # The worker dies after the second listing, so that the next one has to draw the same steps.
    await one.workers[0].ended()
    await one.start_worker()
    run = await one.finished(run_id)
    assert json.loads(run["output"]) == [["grow", "grown"], ["extra_1", "extra"]]
    assert [row["name"] for row in await one.steps(run_id)] == [
        "list_tools:growing",
        "model",
        "mcp:grow",
        "list_tools:growing",
        "model",
        "mcp:extra_1",
        "model",
    ]


async def test_no_secret_of_a_server_gets_into_the_database(one: Cluster) -> None:
    assert (await one.finished(await one.start_run("growing", script([("grow", {})]))))["status"] == "succeeded"
    assert (await one.finished(await one.start_run("unreachable", script([]))))["status"] == "failed"
    tables = "select schemaname || '.' || tablename as name from pg_tables where schemaname in ('dbos', 'holdfast')"
    stored = [await one.query(f"select row::text from {table['name']} as row") for table in await one.query(tables)]
    assert "unreachable" in str(stored)
    assert SECRET not in str(stored)
    assert SECRET not in one.workers[0].log.read_text()


async def test_500_runs_with_one_server_leave_nothing_behind_in_their_worker(one: Cluster) -> None:
    pid = one.workers[0].pid

    def held() -> tuple[int, int]:
        """Open files and child processes of the worker."""
        children = [file.read_text().split() for file in Path(f"/proc/{pid}/task").glob("*/children")]
        return len(list(Path(f"/proc/{pid}/fd").iterdir())), sum(map(len, children))

    async def run(amount: int) -> None:
        runs = [await one.start_run("tiny", script([("look", {})])) for _ in range(amount)]
        ended = "select count(*) as n from dbos.workflow_status where workflow_uuid = any(:runs) and status = 'SUCCESS'"

        async def all_ended() -> bool:
            return (await one.query(ended, runs=runs))[0]["n"] == amount

        await until(all_ended, f"the end of {amount} runs", seconds=100)

    await run(100)
    files, processes = held()
    await run(400)
    more_files, more_processes = held()
    assert more_processes <= max(processes, 1)
    # The worker's pool may still have opened a connection or two to Postgres.
    assert more_files <= files + 8
