"""Loading agents from the configured modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.agents import AGENTS
from app.agents.registry import load_agents
from app.ai.exceptions import UserError


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, name: str, code: str) -> str:
    # Module names are used once only, since imports are remembered for the whole test session.
    (folder / f"{name}.py").write_text(f"from app.ai import Agent\n{code}\n")
    return name


def test_the_own_agents_are_loaded() -> None:
    assert load_agents(["app.agents"]) == AGENTS
    assert "demo" in AGENTS


def test_further_modules_add_their_agents(modules: Path) -> None:
    mine = write(modules, "registry_mine", "AGENTS = {'mine': Agent('test')}")
    assert set(load_agents(["app.agents", mine, mine])) == {"demo", "mine"}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("registry_same", "AGENTS = {'demo': Agent('test')}", "'demo': in app.agents and in registry_same"),
        ("registry_none", "", "'registry_none' needs an `AGENTS"),
        ("registry_list", "AGENTS = [Agent('test')]", "needs an `AGENTS"),
        ("registry_text", "AGENTS = {'x': 'agent'}", r"AGENTS\['x'\]` in registry_text is a str"),
        ("registry_number", "AGENTS = {1: Agent('test')}", "the name 1"),
        ("registry_broken", "import nothing_of_that_name", "cannot be imported.*nothing_of_that_name"),
    ],
)
def test_a_wrong_module_is_named_with_the_fix(modules: Path, name: str, code: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_agents(["app.agents", write(modules, name, code)])


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match=r"'no\.such\.module' cannot be imported"):
        load_agents(["no.such.module"])
