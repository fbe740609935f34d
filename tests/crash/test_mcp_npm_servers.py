"""The official MCP servers from npm, all their tools, through whole runs. Skipped where npm cannot install them."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ai.test_mcp import wait_for_port
from tests.crash.cluster import Cluster, Row, until
from tests.crash.mcp_agents import EVERYTHING_URL, NPM_FOLDER, PLAYGROUND
from tests.crash.test_mcp_questions import answer, waits_for
from tests.crash.test_mcp_servers import script

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(180)]

VERSION = "2026.8.31"
SERVERS = [f"@modelcontextprotocol/server-{name}@{VERSION}" for name in ("everything", "filesystem", "memory")]
INSTALL_SECONDS = 60


@pytest.fixture(scope="module")
def npm_folder() -> Path:
    """Where the servers are installed, once for all test sessions."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed: the MCP servers of npm are not tested")
    folder = Path.home() / ".cache" / "holdfast-tests" / f"mcp-servers-{VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "installed").exists():
        return folder
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), *SERVERS]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot install the MCP servers, they are not tested: {error}")
    (folder / "installed").touch()
    return folder


@pytest.fixture(scope="module")
def everything_url(npm_folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = npm_folder / "node_modules" / ".bin" / "mcp-server-everything"
    environment = {**os.environ, "PORT": str(port)}
    process = subprocess.Popen(
        [str(command), "streamableHttp"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def one(cluster: Cluster, npm_folder: Path, everything_url: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    playground = tmp_path / "playground"
    playground.mkdir()
    cluster.environment = {
        NPM_FOLDER: str(npm_folder),
        EVERYTHING_URL: everything_url,
        PLAYGROUND: str(playground),
    }
    await cluster.start_worker()
    yield cluster


async def tools_and_outcomes(cluster: Cluster, run_id: str) -> tuple[set[str], dict[str, str]]:
    """The names that the server listed, and what became of each call."""
    await cluster.finished(run_id)
    steps = await cluster.steps(run_id)
    listed = {definition["name"] for definition in steps[0]["output"]}
    return listed, {row["tool"]: row["outcome"] for row in steps if row["kind"] == "mcp"}


EVERYTHING: list[tuple[str, dict[str, Any]]] = [
    ("echo", {"message": "hi"}),
    ("get-annotated-message", {"messageType": "error", "includeImage": True}),
    ("get-env", {}),
    ("get-resource-links", {"count": 2}),
    ("get-resource-reference", {"resourceType": "Blob", "resourceId": 1}),
    ("get-structured-content", {"location": "Chicago"}),
    ("get-sum", {"a": 1, "b": 2}),
    ("get-tiny-image", {}),
    ("gzip-file-as-resource", {"name": "a.gz", "data": "data:text/plain,hello", "outputType": "resource"}),
    ("toggle-simulated-logging", {}),
    ("toggle-subscriber-updates", {}),
    ("trigger-long-running-operation", {"duration": 0.2, "steps": 2}),
    ("simulate-research-query", {"topic": "durability"}),
]
ASKING: list[list[tuple[str, dict[str, Any]]]] = [
    [("trigger-sampling-request", {"prompt": "What is durable?"})],
    [("get-roots-list", {})],
    [("trigger-elicitation-request", {})],
    [("trigger-url-elicitation", {"url": "https://example.com/sign"})],
]
"""Each in a turn of its own: over stdio a question is known to belong to a call only if there is no other one."""


@pytest.mark.parametrize("agent", ["everything", "everything_http"])
async def test_every_tool_of_everything_is_listed_and_called(one: Cluster, agent: str) -> None:
    run_id = await one.start_run(agent, script(EVERYTHING, *ASKING))
    for body in ({"action": "accept", "content": {"name": "Ann"}}, {"action": "accept"}):
        await answer(one, run_id, await waits_for(one, run_id), **body)
    listed, outcomes = await tools_and_outcomes(one, run_id)
    assert listed == set(outcomes)
    # It can be called as a task only, a protocol extension that the SDK has dropped; the model is told so.
    assert outcomes.pop("simulate-research-query") == "retry"
    assert set(outcomes.values()) == {"returned"}


async def test_every_tool_of_filesystem_is_listed_and_called(one: Cluster) -> None:
    folder = one.environment[PLAYGROUND]
    first, second, below = f"{folder}/a.txt", f"{folder}/b.txt", f"{folder}/below"
    run_id = await one.start_run(
        "filesystem",
        script(
            [("write_file", {"path": first, "content": "one\ntwo\n"})],
            [
                ("edit_file", {"path": first, "edits": [{"oldText": "two", "newText": "2"}]}),
                ("create_directory", {"path": below}),
            ],
            [
                ("read_file", {"path": first}),
                ("read_text_file", {"path": first}),
                ("read_media_file", {"path": first}),
                ("read_multiple_files", {"paths": [first]}),
                ("list_directory", {"path": folder}),
                ("list_directory_with_sizes", {"path": folder}),
                ("directory_tree", {"path": folder}),
                ("search_files", {"path": folder, "pattern": "*.txt"}),
                ("get_file_info", {"path": first}),
                ("list_allowed_directories", {}),
            ],
            [("move_file", {"source": first, "destination": second})],
        ),
    )
    listed, outcomes = await tools_and_outcomes(one, run_id)
    assert listed == set(outcomes)
    assert set(outcomes.values()) == {"returned"}
    assert Path(second).read_text() == "one\n2\n"


async def test_every_tool_of_memory_is_listed_and_called(one: Cluster) -> None:
    entity = {"name": "Ada", "entityType": "person", "observations": ["wrote a program"]}
    relation = {"from": "Ada", "to": "Ada", "relationType": "knows"}
    run_id = await one.start_run(
        "remembering",
        script(
            [("create_entities", {"entities": [entity]})],
            [("create_relations", {"relations": [relation]})],
            [("add_observations", {"observations": [{"entityName": "Ada", "contents": ["counted"]}]})],
            [("read_graph", {}), ("search_nodes", {"query": "Ada"}), ("open_nodes", {"names": ["Ada"]})],
            [("delete_observations", {"deletions": [{"entityName": "Ada", "observations": ["counted"]}]})],
            [("delete_relations", {"relations": [relation]})],
            [("delete_entities", {"entityNames": ["Ada"]})],
        ),
    )
    listed, outcomes = await tools_and_outcomes(one, run_id)
    assert listed == set(outcomes)
    assert set(outcomes.values()) == {"returned"}


@pytest.mark.parametrize("agent", ["everything", "everything_http"])
async def test_a_worker_killed_in_a_long_call_leaves_it_to_another_one_and_its_progress_is_told(
    one: Cluster, agent: str
) -> None:
    long = ("trigger-long-running-operation", {"duration": 3, "steps": 6})
    run_id = await one.start_run(agent, script([long]))

    async def progress() -> list[Row]:
        return [event for event in await one.events(run_id) if event["type"] == "tool_progress"]

    await until(progress, "progress of the call")
    one.workers[0].signal(signal.SIGKILL)
    _, run = await asyncio.gather(one.start_worker(), one.finished(run_id))
    assert run["status"] == "succeeded"
    assert "Long running operation completed" in run["output"]
    (call,) = [row for row in await one.steps(run_id) if row["kind"] == "mcp"]
    assert (call["outcome"], call["attempts"]) == ("returned", 2)
    told = await progress()
    assert {event["attempt"] for event in told} == {1, 2}
    assert told[-1]["data"] == {
        "tool_name": "trigger-long-running-operation",
        "tool_call_id": "call-0-0-trigger-long-running-operation",
        "progress": 6.0,
        "total": 6.0,
        "message": None,
    }
