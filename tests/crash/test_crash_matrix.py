"""kill -9 at each step boundary and inside each kind of step: runs finish elsewhere and repeat nothing finished."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from tests.crash.agents import ANSWER
from tests.crash.cluster import Cluster, Row, until
from tests.crash.conftest import percentile, recovery_seconds

pytestmark = [pytest.mark.crash, pytest.mark.alone, pytest.mark.timeout(120)]

STEPS = {1: "list_tools", 2: "model", 3: "record", 4: "mcp", 5: "model-2"}
"""What each step of the `road` agent does, under the name of its effect where it has one."""
EFFECTS = {2: "model-1", 3: "record", 4: "mcp", 5: "model-2"}
PARALLEL = {3: 4, 4: 3}
POINTS = ("begun", "performed", "recorded")
KILLS = [(1, "before"), *((step, point) for step in STEPS for point in POINTS)]
"""Each boundary (a step's `recorded` is the next one's `before`), and inside each step on both sides of its work."""


@pytest.fixture(scope="module")
async def pair(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """Two workers that have both executed a run, so that connections and caches are as in a running service."""
    async with Cluster(crash_database_url, tmp_path_factory.mktemp("pair")) as cluster:
        await refill(cluster)
        yield cluster


async def refill(cluster: Cluster) -> None:
    """Start workers until two live, then let each of them execute a run."""
    cluster.workers = [worker for worker in cluster.workers if worker.process.returncode is None]
    while len(cluster.workers) < 2:
        await cluster.start_worker()

    async def all_warm() -> bool:
        for run_id in [await cluster.start_run("road") for _ in range(4)]:
            await cluster.finished(run_id)
        cold = """select 1 from holdfast.workers where executor_id not in
                  (select executor_id from holdfast.runs where status = 'succeeded')"""
        return not await cluster.query(cold)

    await until(all_warm, "a run on each worker")


@pytest.mark.parametrize(("step", "point"), KILLS)
async def test_a_killed_worker_s_run_finishes_elsewhere(pair: Cluster, step: int, point: str) -> None:
    await refill(pair)
    before = pair.effect_counts()
    run_id = await pair.start_run("road", crash=f"{step}:{point}")

    async def somebody_died() -> bool:
        return any(worker.process.returncode is not None for worker in pair.workers)

    await until(somebody_died, "the kill")
    died = time.monotonic()
    run = await pair.finished(run_id)
    recovery_seconds.append(time.monotonic() - died)

    assert (run["status"], run["output"]) == ("succeeded", "".join(ANSWER))
    assert run["recovery_attempts"] == 2
    done = pair.effect_counts() - before
    steps = {row["step"]: row for row in await pair.steps(run_id)}
    attempts = {number: row["attempts"] for number, row in steps.items()}
    in_flight = PARALLEL.get(step)  # its worker died under it at a moment that nobody chose
    for number in set(STEPS) - {in_flight}:
        lost = number == step and point in ("begun", "performed")
        repeated = number == step and point == "performed"
        assert attempts[number] == (2 if lost else 1)
        if number in EFFECTS:
            assert done[EFFECTS[number]] == (2 if repeated else 1)
    if in_flight is not None:
        assert 1 <= done[EFFECTS[in_flight]] <= attempts[in_flight] <= 2
    check_events(await pair.events(run_id), attempts)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("step", [1, 3])
async def test_a_worker_killed_in_a_user_s_callback_repeats_only_that(pair: Cluster, step: int, point: str) -> None:
    """Steps 1 and 3 of `judge` are its system prompt function and its output function."""
    await refill(pair)
    run_id = await pair.start_run("judge", "guilty?", crash=f"{step}:{point}")

    async def somebody_died() -> bool:
        return any(worker.process.returncode is not None for worker in pair.workers)

    await until(somebody_died, "the kill")
    died = time.monotonic()
    run = await pair.finished(run_id)
    recovery_seconds.append(time.monotonic() - died)
    assert (run["status"], run["output"]) == ("succeeded", '["GUILTY?"]')
    attempts = [row["attempts"] for row in await pair.steps(run_id)]
    assert attempts == [2 if number == step and point != "recorded" else 1 for number in (1, 2, 3)]


def check_events(events: list[Row], attempts: dict[int, int]) -> None:
    """Gapless, an `attempt` event for each try, and the text that a client assembles is the answer."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    tries = [(event["step"], event["attempt"]) for event in events if event["type"] == "attempt"]
    assert sorted(tries) == [(step, number + 1) for step in attempts for number in range(attempts[step])]
    assert [event["type"] for event in events if event["type"].startswith("run_")] == [
        "run_queued",
        "run_running",
        "run_taken_over",
        "run_running",
        "run_succeeded",
    ]
    assert assembled(events) == "".join(ANSWER)


def assembled(events: list[Row]) -> str:
    """The text of the last step that spoke, as a client puts it together: an `attempt` event drops what came before."""
    text = ""
    for event in events:
        match event["type"], event["data"]:
            case "attempt", {"kind": "model"}:
                text = ""
            case "part_start", {"part": {"part_kind": "text", "content": content}}:
                text += content
            case "part_delta", {"delta": {"part_delta_kind": "text", "content_delta": content}}:
                text += content
            case _:
                pass
    return text


def test_runs_finish_within_two_seconds_of_a_death() -> None:
    if len(recovery_seconds) < 10:
        pytest.skip("runs after the kills of this module, whose times it judges")
    assert percentile(recovery_seconds, 0.95) <= 2.0
