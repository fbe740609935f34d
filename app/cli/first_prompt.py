"""The first prompt of a new service: its answer, what the run did, and how to ask the same by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from app.cli.render import answer, note, table
from app.settings import Settings

AGENT = "demo"
WAIT_SECONDS = 60
_STEP_COLUMNS = ("step", "kind", "name", "outcome", "attempts", "duration_ms")
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


async def show_first_prompt(settings: Settings, prompt: str) -> None:
    """Ask the demo agent as soon as the service is ready, and print what came of it."""
    url = f"http://{_EVERYWHERE.get(settings.host, settings.host)}:{settings.port}"
    headers = {"x-api-key": settings.api_key.get_secret_value()} if settings.api_key else {}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=WAIT_SECONDS + 10) as http:
        await _until_ready(http)
        note(f"Holdfast is at {url}. Asking its agent {AGENT!r}: {prompt}")
        body = {"agent": AGENT, "prompt": prompt}
        response = await http.post("/api/runs", json=body, headers={"Prefer": f"wait={WAIT_SECONDS}"})
        if response.is_error:
            note(f"The first prompt was refused: {response.text}")
            return
        run = response.json()
        steps = (await http.get(f"/api/runs/{run['run_id']}/steps")).json()["steps"]
    _show(url, run, steps, prompt)


async def _until_ready(http: httpx.AsyncClient) -> None:
    while True:
        try:
            if (await http.get("/readyz")).is_success:
                return
        except httpx.TransportError:
            pass
        await asyncio.sleep(0.1)


def _show(url: str, run: dict[str, Any], steps: list[dict[str, Any]], prompt: str) -> None:
    answer(run["output"] if run["status"] == "succeeded" else f"{run['status']}: {run['error'] or run['reason']}")
    table(_STEP_COLUMNS, steps)
    note(
        f"""
Ask it yourself:
  curl -s {url}/api/runs -H 'content-type: application/json' -H 'prefer: wait=60' \\
    -d '{{"agent": "{AGENT}", "prompt": "{prompt}"}}'
What this run did:
  curl -s {url}/api/runs/{run["run_id"]}/steps
  curl -sN {url}/api/runs/{run["run_id"]}/events
Stop everything with Ctrl-C."""
    )
