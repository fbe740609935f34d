"""Dockerfile and compose.yaml, as far as they can be tried without Docker: their commands, checks and settings."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import PREFIX, Settings
from tests.cli.test_processes import Start, launch

__all__ = ["launch"]

ROOT = Path(__file__).parents[1]
DOCKERFILE = [
    line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.strip() and not line.startswith("#")
]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if "build" in service}


def instruction(name: str) -> str:
    """The arguments of the last instruction of this name: that of the image which is kept."""
    return [line for line in DOCKERFILE if line.startswith(f"{name} ")][-1].removeprefix(f"{name} ")


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for line in DOCKERFILE if line.startswith("ENV ") for pair in shlex.split(line[4:]))


def health_check() -> list[str]:
    command = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    return [sys.executable if command[0] == "python" else command[0], *command[1:]]


def test_the_image_has_two_stages_and_runs_as_nobody_special_from_a_locked_install() -> None:
    assert len([line for line in DOCKERFILE if line.startswith("FROM ")]) == 2
    assert instruction("USER") == "10001"
    assert any("pip install --require-hashes --requirement /src/requirements.lock" in line for line in DOCKERFILE)
    assert any("ca-certificates" in line for line in DOCKERFILE)
    assert json.loads(instruction("ENTRYPOINT")) == ["holdfast"]


@pytest.mark.parametrize("source", ["requirements.lock", "pyproject.toml", "README.md", "LICENSE", "migrations", "app"])
def test_what_the_image_copies_is_there_and_not_ignored(source: str) -> None:
    assert any(line.startswith("COPY ") and source in line for line in DOCKERFILE)
    assert (ROOT / source).exists()
    assert source not in (ROOT / ".dockerignore").read_text().splitlines()


def test_the_health_check_of_the_image_tells_a_service_that_is_ready_from_one_that_is_not(launch: Start) -> None:
    api = launch("api")
    api.ready()
    environment = {**os.environ, "HOLDFAST_PORT": str(api.port)}
    assert subprocess.run(health_check(), env=environment, timeout=20, check=False).returncode == 0
    api.stop()
    gone = subprocess.run(health_check(), env=environment, timeout=20, check=False, stderr=subprocess.DEVNULL)
    assert gone.returncode == 1


@pytest.mark.parametrize("name", OURS)
def test_compose_starts_commands_that_exist_with_settings_that_exist(name: str) -> None:
    service = OURS[name]
    check = service.get("healthcheck", {}).get("test")
    for command in filter(None, (service["command"], check and check[2:])):
        called = subprocess.run([sys.executable, "-m", "app.cli", *command, "--help"], capture_output=True, check=False)
        assert called.returncode == 0, command
    settings = {f"{PREFIX}{field}".upper() for field in Settings.model_fields} | {"DATABASE_URL"}
    given = {*service["environment"], *image_environment()}
    assert {name for name in given if name.startswith((PREFIX, "DATABASE"))} <= settings


def test_compose_has_a_database_that_stays_one_api_and_two_workers_behind_the_migration() -> None:
    assert COMPOSE["services"]["postgres"]["image"] == "postgres:18"
    # Where the image of Postgres 18 keeps its data, one level above that of older ones.
    assert COMPOSE["services"]["postgres"]["volumes"] == ["data:/var/lib/postgresql"]
    assert OURS["worker"]["deploy"]["replicas"] == 2
    assert OURS["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("api", "worker"):
        assert OURS[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
        assert ":?" in OURS[name]["environment"]["HOLDFAST_API_KEY"], "no start without a key"
        assert int(OURS[name]["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds
