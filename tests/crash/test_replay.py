"""The steps that runs draw, pinned: a change here breaks every run in flight; it needs a new name, not a new list."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.ai.ids import uuid7
from app.durable.client import NewRun
from app.durable.inputs import RunInput
from tests.crash.cluster import Cluster

pytestmark = [pytest.mark.crash]

FITTING = ("prepare:fit", "filter_tools")
PINNED = {
    ("road", "go"): ["list_tools:recorder", "model", "tool:record", "mcp:effect", "model"],
    ("careful", "go"): ["model", "tool:pay", "tool:note", "model"],
    ("naughty", "returns_odd_text"): ["model", "tool:returns_odd_text", "model"],
    ("judge", "go"): ["system_prompt", "model", "output:shout"],
    ("fitted", "go"): [*FITTING, "model", "validate:fit", "tool:fit", *FITTING, "model"],
    ("chooser", "go"): ["model", "tool:lookup", "model"],
}


@pytest.fixture(scope="module")
async def one_worker(crash_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    async with Cluster(crash_database_url, tmp_path_factory.mktemp("replay")) as cluster:
        await cluster.start_worker()
        yield cluster


@pytest.mark.parametrize(("agent", "prompt"), PINNED)
async def test_a_run_draws_the_steps_it_has_always_drawn(one_worker: Cluster, agent: str, prompt: str) -> None:
    run_id = await one_worker.start_run(agent, prompt)
    run = await one_worker.finished(run_id)
    assert run["status"] == "succeeded", run["error"]
    assert [step["name"] for step in await one_worker.steps(run_id)] == PINNED[agent, prompt]


async def test_a_record_that_does_not_fit_the_code_fails_the_run_as_diverged(one_worker: Cluster) -> None:
    run_id = str(uuid7())
    run = RunInput(agent="memory", prompt="hello", conversation_id=run_id)
    async with one_worker.engine.begin() as connection:
        await one_worker.client.enqueue(connection, NewRun(run_id, run))
        await connection.exec_driver_sql(
            "insert into dbos.operation_outputs (workflow_uuid, function_id, function_name, output, serialization)"
            " values (%s, 1, 'tool:from_older_code', '{}', 'holdfast_json_v1')",
            (run_id,),
        )
    ended = await one_worker.finished(run_id)
    assert (ended["status"], ended["reason"]) == ("failed", "diverged")
    assert "tool:from_older_code" in ended["error"]["message"]
