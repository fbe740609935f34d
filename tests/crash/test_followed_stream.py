"""A client follows a run over HTTP while worker and API processes die: no gap, no double, the text is the answer."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx_sse import aconnect_sse

from tests.crash.agents import ANSWER
from tests.crash.cluster import ROOT, Cluster, until
from tests.crash.test_crash_matrix import assembled

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]


class ApiProcess:
    """`holdfast api` on a port of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._environment = {
            **os.environ,
            "DATABASE_URL": cluster.url,
            "HOLDFAST_AGENTS": "tests.crash.agents",
            "HOLDFAST_TEST_EFFECTS": str(cluster.effects_file),
        }
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> ApiProcess:
        command = [sys.executable, "-m", "app.cli", "api", "--port", str(self._port)]
        self._process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=self._environment, stderr=asyncio.subprocess.DEVNULL
        )

        async def ready() -> bool:
            try:
                return httpx.get(f"{self.url}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        await until(ready, "the API")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


class Follower:
    """Follows a run by Last-Event-ID, leaving after some events and coming back, as often as it must."""

    def __init__(self, run_id: str, *, leave_after: int) -> None:
        self.events: list[dict[str, Any]] = []
        self.connections = 0
        self._path = f"/api/runs/{run_id}/events"
        self._leave_after = leave_after

    @property
    def done(self) -> bool:
        return bool(self.events) and self.events[-1]["type"] in ("run_succeeded", "run_failed", "run_cancelled")

    async def follow(self, url: str) -> None:
        """One connection, until it ends, breaks, or has brought enough."""
        headers = {"Last-Event-ID": self.events[-1]["id"]} if self.events else {}
        self.connections += 1
        try:
            async with (
                httpx.AsyncClient(timeout=30) as client,
                aconnect_sse(client, "GET", url + self._path, headers=headers) as source,
            ):
                received = 0
                async for message in source.aiter_sse():
                    self.events.append({**json.loads(message.data), "id": message.id})
                    received += 1
                    if received == self._leave_after:
                        return
        except httpx.TransportError:
            await asyncio.sleep(0.05)  # the server is gone; its place may not be taken yet


async def test_a_client_that_reconnects_sees_every_event_once_through_a_takeover(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with ApiProcess(cluster) as api:
        await cluster.start_worker()
        await cluster.start_worker()
        run_id = await cluster.start_run("road", crash="5:performed")
        follower = Follower(run_id, leave_after=4)
        while not follower.done:
            await follower.follow(api.url)
        answer = httpx.get(f"{api.url}/api/runs/{run_id}").json()["output"]
    assert follower.connections > 3
    assert [int(event["id"]) for event in follower.events] == list(range(1, len(follower.events) + 1))
    assert [event["attempt"] for event in follower.events if event["type"] == "attempt" and event["step"] == 5] == [
        1,
        2,
    ]
    assert assembled(follower.events) == answer == "".join(ANSWER)


async def test_a_client_whose_api_process_dies_goes_on_at_another_one(cluster: Cluster) -> None:
    async with ApiProcess(cluster) as first, ApiProcess(cluster) as second:
        await cluster.start_worker()
        run_id = await cluster.start_run("patient", "20")
        follower = Follower(run_id, leave_after=10_000)
        following = asyncio.create_task(follower.follow(first.url))

        async def streaming() -> bool:
            return any(event["type"] == "part_delta" for event in follower.events)

        await until(streaming, "the stream")
        await first.kill()
        await following
        assert not follower.done
        while not follower.done:
            await follower.follow(second.url)
    assert [int(event["id"]) for event in follower.events] == list(range(1, len(follower.events) + 1))
    assert assembled(follower.events) == "".join(f"{number} " for number in range(20))
