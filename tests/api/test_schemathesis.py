"""Schemathesis against the whole service as it is started: HTTP, a worker, a database. It finds nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import until
from tests.cli.test_processes import Process, Start, launch

__all__ = ["launch"]

# A seed and a number of cases, not a time: what is tried must not depend on how fast the machine is.
SEED = 20261125
KEY = "a-long-random-text-for-tests"

CONFIGURATION = """
# NUL and lone surrogates are refused wherever a text is, which a JSON schema cannot say of free-form JSON.
generation = {{ allow-x00 = false, codec = "utf-8", database = "none" }}
continue-on-failure = true
request-timeout = 20
hooks = "tests.api.fuzz_hooks"

[dictionaries]
runs = {{ values = {runs} }}
calls = {{ values = ["pay-1"] }}
agents = {{ values = ["quick", "careful"] }}
conversations = {{ values = {conversations} }}

[parameters]
"path.name" = {{ dictionary = "agents", probability = 0.5 }}
"path.run_id" = {{ dictionary = "runs", probability = 0.8 }}
"path.tool_call_id" = {{ dictionary = "calls", probability = 0.8 }}
"path.conversation_id" = {{ dictionary = "conversations", probability = 0.8 }}

[[operations]]
include-path = "/api/runs/{{run_id}}/events"
# The stream of a waiting run does not end.
request-timeout = 1
"""

KEYED = f"""
[auth.openapi]
key = {{ api_key = "{KEY}" }}
"""


def start_runs(http: httpx.Client) -> Mapping[str, list[str]]:
    """Runs in several states, so that requests find something."""
    runs = [
        http.post("/api/runs", json={"agent": agent, "prompt": "x", **body}).json()
        for agent, body, times in (("careful", {}, 12), ("quick", {}, 12), ("quick", {"model": "none:x"}, 3))
        for _ in range(times)
    ]
    ids = [run["run_id"] for run in runs]
    until(lambda: not any(http.get(f"/api/runs/{run_id}").json()["status"] in ("queued", "running") for run_id in ids))
    return {"runs": ids, "conversations": [run["conversation_id"] for run in runs]}


def fuzz(service: Process, folder: Path, headers: dict[str, str], examples: int) -> None:
    with httpx.Client(base_url=service.url, headers=headers, timeout=20) as http:
        started = start_runs(http)
    values = {name: json.dumps(found) for name, found in started.items()}
    configuration = folder / "schemathesis.toml"
    configuration.write_text(CONFIGURATION.format(**values) + (KEYED if headers else ""))
    command = ["run", f"{service.url}/openapi.json", f"--seed={SEED}", f"--max-examples={examples}", "--no-color"]
    done = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "--config-file", configuration, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout[-6000:])
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_schemathesis_finds_nothing(launch: Start, tmp_path: Path) -> None:
    service = launch("serve", HOLDFAST_AGENTS="tests.api.fuzzed_agents")
    service.ready()
    fuzz(service, tmp_path, {}, examples=60)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_schemathesis_finds_nothing_behind_a_key(launch: Start, tmp_path: Path) -> None:
    service = launch("serve", HOLDFAST_AGENTS="tests.api.fuzzed_agents", HOLDFAST_API_KEY=KEY)
    service.ready()
    fuzz(service, tmp_path, {"x-api-key": KEY}, examples=20)
