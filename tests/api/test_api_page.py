"""docs/api.md: each of its curl commands does what the page says, on a whole service."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import until
from tests.cli.test_processes import Start, launch

__all__ = ["launch"]

PAGE = Path(__file__).parents[2] / "docs/api.md"


def commands_of(page: str) -> list[str]:
    """Its indented curl commands, continued lines joined."""
    return re.findall(r"^    (curl (?:.*\\\n)*.*)$", page, re.MULTILINE)


class World:
    """A service, and runs for the commands to work on."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def run(self, agent: str, **body: Any) -> dict[str, Any]:
        """A run of the agent that is finished, or waits."""
        asked = {"agent": agent, "prompt": "What is 19 + 23?", **body}
        return self.http.post("/api/runs", json=asked, headers={"Prefer": "wait=30"}).json()

    def env(self, agent: str, **body: Any) -> dict[str, str]:
        """What the variables of the page stand for."""
        run = self.run(agent, **body)
        found = {"RUN": run["run_id"], "CONVERSATION": run["conversation_id"]}
        return found | {"CALL": run["waiting_for"][0]["tool_call_id"]} if run["waiting_for"] else found

    def cursor(self) -> dict[str, str]:
        """The cursor of a second page."""
        for _ in range(2):
            self.run("quick")
        return {"CURSOR": self.http.get("/api/runs?limit=1").json()["next_cursor"]}

    def output(self, run_id: str) -> Any:
        """What the run ends with."""
        return self.http.get(f"/api/runs/{run_id}?wait=30").json()["output"]


def holds(**expected: Any) -> Callable[[World, str], bool]:
    """Whether the answer is JSON with these fields."""
    return lambda _, answer: {name: json.loads(answer)[name] for name in expected} == expected


def has(*texts: str) -> Callable[[World, str], bool]:
    return lambda _, answer: all(text in answer for text in texts)


def becomes(output: str) -> Callable[[World, str], bool]:
    """Whether the run of the answer ends with this output."""
    return lambda world, answer: world.output(json.loads(answer)["run_id"]) == output


Expectation = tuple[str, Callable[[World], dict[str, str]] | None, Callable[[World, str], bool]]

DEMO = partial(World.env, agent="demo")
CAREFUL = partial(World.env, agent="careful")

EXPECTED: list[Expectation] = [
    (r"/api/runs -H 'content-type: application/json' \\\n", None, has('"status":"queued"')),
    (r"approvals\?status=open$", CAREFUL, has('"status":"open"', '"pay-1"')),
    (r"approvals/\$CALL .*'\{\"approve\": true\}'", CAREFUL, holds(status="decided")),
    (r"hint-1", CAREFUL, holds(priority="asap", taken_at_step=None)),
    (r"/fork ", DEMO, holds(forked_at_step=3)),
    (r"Prefer: wait", None, holds(status="succeeded")),
    (r"agent=demo&status", DEMO, has('"next_cursor":')),
    (r"cursor=", World.cursor, has('"run_id"')),
    (r"\?wait=10", DEMO, holds(status="succeeded")),
    (r"/steps", DEMO, has('"tool:add"')),
    (r"/messages", DEMO, has('"kind":"request"', '"kind":"response"')),
    (r"/events$", DEMO, has("id: 1\n", "event: run_succeeded\n")),
    (r"Last-Event-ID: 3", DEMO, lambda _, answer: "id: 4\n" in answer and "id: 3\n" not in answer),
    (r"after=3&limit=2", DEMO, holds(next_after=5, finished=False)),
    (r"/cancel", CAREFUL, holds(status="cancelled")),
    (r"-X POST .*/resume", partial(World.env, agent="quick", model="none:x"), has('"status":"queued"')),
    (r"status=decided", None, has('"decided_by":"anonymous"')),
    (r"\"args\"", CAREFUL, holds(decision={"approve": True, "args": {"amount": 2}})),
    (r"\"approve\": false", CAREFUL, holds(decision={"approve": False, "message": "too much"})),
    (r"shipped", partial(World.env, agent="shop"), becomes("sent")),
    (r"/conversations/", DEMO, holds(busy_run_id=None)),
    (r"/agents$", None, has('"name":"demo"')),
    (r"/agents/demo", None, holds(name="demo")),
    (r"PUT .*/agents/poet", None, holds(version="1")),
    (r"PUT .*/agents/greeter", None, holds(version="1")),
    (r"\"greeter\"", None, has('"status":"queued"', '"agent":"greeter"')),
    (r"/metrics", None, has("holdfast_runs")),
    (r"/livez", None, holds(status="alive")),
    (r"/readyz", None, holds(status="ready")),
    (r"DELETE", DEMO, has("204")),
]


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_each_command_of_the_page_does_what_it_says(launch: Start) -> None:
    service = launch("serve", HOLDFAST_AGENTS="app.agents,tests.api.fuzzed_agents", HOLDFAST_DEMO_SLOW_SECONDS="0")
    service.ready()
    with httpx.Client(base_url=service.url, timeout=30) as http:
        world = World(http)
        until(lambda: world.run("quick")["status"] == "succeeded", seconds=40)
        commands = commands_of(PAGE.read_text())
        assert len(commands) == len(EXPECTED)
        for command, (pattern, prepare, check) in zip(commands, EXPECTED, strict=True):
            assert re.search(pattern, command), f"{command} is not the command for {pattern}"
            done = subprocess.run(
                ["sh", "-c", command.replace("localhost:8000", service.url.removeprefix("http://"))],
                env=os.environ | (prepare(world) if prepare else {}),
                capture_output=True,
                text=True,
                timeout=40,
                check=True,
            )
            assert check(world, done.stdout), f"{command}\n{done.stdout}"
