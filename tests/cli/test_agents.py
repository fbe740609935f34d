"""Agents as data from a terminal."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.cli.test_runs import Holdfast, holdfast

__all__ = ["holdfast"]


def test_a_file_is_put_as_a_version_of_an_agent(holdfast: Holdfast, http: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "poet.yaml"
    file.write_text("model: test:test\ninstructions: Answer in verse.\n")
    assert holdfast("agents", "put", str(file)).stdout == "poet version 1\n"
    assert holdfast("agents", "put", str(file), "--name", "bard").stdout == "bard version 1\n"
    assert [line.split("\t")[0] for line in holdfast("agents").stdout.splitlines()] == ["name", "bard", "demo", "poet"]
    file.write_text("model: test:test\ncolor: red\n")
    refused = holdfast("agents", "put", str(file))
    assert refused.returncode == 2
    assert "color" in refused.stderr
    assert holdfast("agents", "put", __file__).returncode == 2
    assert http.get("/api/agents/poet").json()["version"] == "1"
