"""`holdfast init` and `holdfast dev`: from nothing to an agent that can be changed while it is served."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.agents.registry import load_agents
from tests.api.conftest import until
from tests.cli.test_processes import START_SECONDS, Start, launch, start_run

__all__ = ["launch"]

MINUS_P = [sys.executable, "-P", "-m", "app.cli"]


def init(here: Path, folder: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MINUS_P, "init", folder], cwd=here, capture_output=True, text=True, timeout=30, check=False)


def test_init_makes_a_folder_with_an_agent_that_can_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = init(tmp_path, "starter_agents")
    assert (made.returncode, made.stdout) == (0, "starter_agents/weather.py\n")
    assert "holdfast dev --agents starter_agents" in made.stderr
    monkeypatch.syspath_prepend(tmp_path)
    assert load_agents(["starter_agents"])["weather"].run_sync("Oslo?").output == '{"temperature":21.5}'


@pytest.mark.parametrize(("folder", "said"), [("taken", "is there already"), ("no-name", "cannot be imported")])
def test_init_refuses_what_it_cannot_make(tmp_path: Path, folder: str, said: str) -> None:
    (tmp_path / "taken").mkdir()
    refused = init(tmp_path, folder)
    assert (refused.returncode, said in refused.stderr) == (2, True)


def test_dev_says_when_there_are_no_such_agents(launch: Start) -> None:
    dev = launch("dev", "--agents", "nowhere.agents")
    assert dev.process.wait(30) == 2
    assert "holdfast init nowhere.agents" in dev.stderr.read_text()


@pytest.mark.slow
@pytest.mark.timeout(200)
def test_dev_serves_an_agent_anew_when_its_file_changes_or_is_repaired(
    launch: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init(tmp_path, "my_agents")
    code = tmp_path / "my_agents/weather.py"
    # A folder of this name in the working directory must not be taken for ours.
    (tmp_path / "app").mkdir()
    (tmp_path / "app/__init__.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    dev = launch("dev", "--agents", "my_agents")
    dev.ready()

    def answer() -> Any:
        with contextlib.suppress(httpx.TransportError):
            return start_run(dev.url, "Oslo?", agent="weather", wait=20).get("output")

    assert answer() == '{"temperature":21.5}'
    code.write_text(code.read_text().replace("21.5", "-3.0"))
    until(lambda: "weather.py changed" in dev.stderr.read_text(), START_SECONDS)
    until(lambda: answer() == '{"temperature":-3.0}', START_SECONDS)
    whole = code.read_text()
    code.write_text(f"{whole}\nx = (")
    until(lambda: "SyntaxError" in dev.stderr.read_text(), START_SECONDS)
    code.write_text(whole)
    until(lambda: answer() == '{"temperature":-3.0}', START_SECONDS)
    assert dev.stop() == 0
