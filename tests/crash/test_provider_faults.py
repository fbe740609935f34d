"""Faults of providers, through the whole service: runs go on by themselves where that is right."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.ai.models.chat_server import Answer, as_json, delta, serve, stream
from tests.ai.models.recorded import traffic
from tests.ai.models.test_openai_responses import event_stream, events_of, message
from tests.crash.cluster import Cluster, Row
from tests.crash.provider_agents import PROVIDERS, SECRET

pytestmark = [pytest.mark.crash]

USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
HELLO = stream(delta(content="Hel"), delta(content="lo"), delta("stop"), {**delta(), "choices": [], "usage": USAGE})
BROKEN = Answer(HELLO.body[:150], content_type="text/event-stream", cut=True)


def chat_agents(**urls: str) -> dict[str, str]:
    return {PROVIDERS: json.dumps({name: {"api": "openai-chat", "base_url": url} for name, url in urls.items()})}


async def attempts(cluster: Cluster, run_id: str) -> list[Row]:
    return await cluster.query("select * from holdfast.attempts where run_id = :r order by step, attempt", r=run_id)


async def test_a_long_pause_parks_the_run_and_costs_nothing(cluster: Cluster) -> None:
    refusal = as_json({"error": {"message": "slow down"}}, 429, headers={"retry-after": "3000"})
    with serve([refusal, HELLO]) as server:
        cluster.environment = chat_agents(chat=server.url)
        worker = await cluster.start_worker()
        run_id = await cluster.start_run("chat")
        waiting = await cluster.waiting(run_id)
        [wait] = waiting["waiting_for"]
        assert wait["kind"] == "retry_at"
        assert wait["metadata"]["type"] == "ModelHTTPError"
        assert "slow down" in wait["metadata"]["message"]
        ends_in = datetime.fromisoformat(wait["deadline"]) - datetime.now(UTC)
        assert timedelta(seconds=2990) < ends_in < timedelta(seconds=3310)
        assert waiting["recovery_attempts"] == 0
        worker.signal(signal.SIGKILL)
        await cluster.query_once("update dbos.workflow_status set delay_until_epoch_ms = holdfast.now_ms()")
        await cluster.query_once("delete from holdfast.cooldowns")
        await cluster.start_worker()
        run = await cluster.finished(run_id)
    assert (run["status"], run["output"], run["unknown_cost_attempts"]) == ("succeeded", "Hello", 0)
    assert (run["input_tokens"], run["output_tokens"], run["requests"]) == (11, 7, 1)
    assert len(server.requests) == 2
    [event] = [event for event in await cluster.events(run_id) if event["type"] == "run_waiting"]
    assert [wait["kind"] for wait in event["data"]["waiting_for"]] == ["retry_at"]


async def test_nobody_asks_during_a_pause_that_one_run_was_told_of(cluster: Cluster) -> None:
    with serve([as_json({}, 429, headers={"retry-after": "2"}), HELLO]) as server:
        cluster.environment = chat_agents(chat=server.url) | {"HOLDFAST_WORKER_CONCURRENCY": "12"}
        await asyncio.gather(cluster.start_worker(), cluster.start_worker())
        first = await cluster.start_run("chat")
        known = "select 1 from holdfast.cooldowns"
        await _until_found(cluster, known)
        others = [await cluster.start_run("chat") for _ in range(20)]
        runs = [await cluster.finished(run_id) for run_id in (first, *others)]
    assert {run["status"] for run in runs} == {"succeeded"}
    assert len(server.requests) == 1 + len(runs)
    told, *later = server.times
    assert min(later) - told >= 2.0
    executors = await cluster.query(
        "select distinct executor_id from holdfast.attempts where run_id = any(:r)", r=others
    )
    assert len(executors) == 2


async def test_an_answer_that_breaks_off_is_asked_for_again_and_may_have_cost_something(cluster: Cluster) -> None:
    with serve([BROKEN, HELLO]) as server:
        cluster.environment = chat_agents(chat=server.url)
        await cluster.start_worker()
        run_id = await cluster.start_run("chat")
        run = await cluster.finished(run_id)
    assert (run["status"], run["output"], run["unknown_cost_attempts"]) == ("succeeded", "Hello", 1)
    assert (run["input_tokens"], run["requests"]) == (11, 1)
    first, second = await attempts(cluster, run_id)
    assert "broke off" in first["error"]["message"]
    assert second["error"] is None
    streamed = [event for event in await cluster.events(run_id) if event["type"].startswith(("part", "attempt"))]
    assert [event["attempt"] for event in streamed if event["type"] == "attempt"] == [1, 2]
    text = "".join(
        event["data"]["part"]["content"] if event["type"] == "part_start" else event["data"]["delta"]["content_delta"]
        for event in streamed
        if event["attempt"] == 2 and event["type"] in ("part_start", "part_delta")
    )
    assert text == "Hello"


async def test_what_asking_again_cannot_help_fails_at_once(cluster: Cluster) -> None:
    refused = as_json({"error": {"message": f"Incorrect API key {SECRET}", "code": "invalid_api_key"}}, 401)
    quota = stream({"error": {"message": "pay first", "code": "insufficient_quota"}}, done=False)
    with serve([refused]) as key_server, serve([quota]) as quota_server:
        cluster.environment = chat_agents(key=key_server.url, quota=quota_server.url)
        await cluster.start_worker()
        ids = [await cluster.start_run(agent) for agent in ("key", "quota")]
        key, quota_run = [await cluster.finished(run_id) for run_id in ids]
    assert (key["status"], key["error"]["type"], key["error"]["details"]["status_code"]) == (
        "failed",
        "ModelHTTPError",
        401,
    )
    assert "invalid_api_key" in key["error"]["message"]
    assert (quota_run["status"], quota_run["error"]["details"]["status_code"]) == ("failed", 429)
    assert (len(key_server.requests), len(quota_server.requests)) == (1, 1)
    assert SECRET not in json.dumps([key["error"], await cluster.steps(ids[0])], default=str)


async def test_an_answer_made_in_the_background_is_read_by_the_next_worker(cluster: Cluster) -> None:
    whole = event_stream(*events_of([message("Hello")]))
    begun = event_stream(*events_of([message("Hello")])[:5], hold=True)
    with serve([begun, whole]) as server:
        described = {"api": "openai-responses", "base_url": server.url, "settings": {"openai_background": True}}
        cluster.environment = {PROVIDERS: json.dumps({"background": described})}
        worker = await cluster.start_worker()
        run_id = await cluster.start_run("background")
        await _until_found(cluster, "select 1 from holdfast.attempts where handle is not null")
        worker.signal(signal.SIGKILL)
        await cluster.start_worker()
        run = await cluster.finished(run_id)
    assert (run["status"], run["output"], run["output_tokens"]) == ("succeeded", "Hello", 5)
    assert server.targets == ["/v1/responses", "/v1/responses/resp_1?stream=true"]
    assert [attempt["attempt"] for attempt in await attempts(cluster, run_id)] == [1, 2]


async def test_cancelling_a_run_cancels_what_is_made_in_the_background(cluster: Cluster) -> None:
    begun = event_stream(*events_of([message("Hello")])[:5], hold=True)
    with serve([begun, as_json({})]) as server:
        described = {"api": "openai-responses", "base_url": server.url, "settings": {"openai_background": True}}
        cluster.environment = {PROVIDERS: json.dumps({"background": described})}
        await cluster.start_worker()
        run_id = await cluster.start_run("background")
        await _until_found(cluster, "select 1 from holdfast.attempts where handle is not null")
        await cluster.client.cancel(run_id)
        async with asyncio.timeout(20):
            while len(server.targets) < 2:
                await asyncio.sleep(0.01)
    assert server.targets == ["/v1/responses", "/v1/responses/resp_1/cancel"]


SCENARIOS = {
    "anthropic": "anthropic/request_stream_fallback_for_high_max_tokens",
    "google": "google/google_stream_usage_is_live_mid_stream",
    "chat": "openai/run_stream_sync_streams_real_model",
    "responses": "openai/openai_responses_phase_streamed_on_part_start",
}
FAULTS = {
    "limited": ("status=429,retry_after=0.2", 1),
    "down": ("status=503", 1),
    "late": ("latency=0.5", 1),
    "cut": ("cut=400", 2),
    "reset": ("cut=400,reset=1", 2),
    "silent": ("stall=400,seconds=20", 2),
}
"""A fault, and how many attempts of the model step it takes to get over it."""


@pytest.mark.skipif(not traffic.AVAILABLE, reason=traffic.UNAVAILABLE)
async def test_recorded_answers_arrive_whole_through_every_fault(cluster: Cluster) -> None:
    described: dict[str, Any] = {}
    with ExitStack() as stack:
        for api, name in SCENARIOS.items():
            scenario = traffic.load(name)
            for fault, (spec, _) in {"none": ("", 1), **FAULTS}.items():
                faults = [f"0:{spec}"] if spec else []
                # A silent answer uses its exchange up.
                again = scenario["exchanges"][:1] if fault == "silent" else []
                played = {**scenario, "exchanges": [*again, *scenario["exchanges"]]}
                server = stack.enter_context(traffic.replay_server().ReplayServer(played, faults=faults))
                described[f"{api} {fault}"] = {
                    "api": scenario["api"],
                    "base_url": server.base_url().removesuffix("/v1") if api == "anthropic" else server.base_url(),
                    "settings": {"timeout": 1.5},
                }
        cluster.environment = {PROVIDERS: json.dumps(described)}
        await cluster.start_worker()
        started = {agent: await cluster.start_run(agent) for agent in described}
        runs = {agent: await cluster.finished(run_id) for agent, run_id in started.items()}
        steps = {agent: await cluster.steps(run_id) for agent, run_id in started.items()}
    columns = ("status", "output", "input_tokens", "output_tokens", "requests")
    for agent, run in runs.items():
        api, fault = agent.split()
        undisturbed = runs[f"{api} none"]
        assert undisturbed["status"] == "succeeded"
        as_undisturbed = [undisturbed[column] for column in columns]
        assert [run[column] for column in columns] == as_undisturbed, (agent, run["error"])
        assert steps[agent][0]["attempts"] == {"none": ("", 1), **FAULTS}[fault][1], agent


async def _until_found(cluster: Cluster, statement: str) -> None:
    async with asyncio.timeout(20):
        while not await cluster.query(statement):
            await asyncio.sleep(0)
