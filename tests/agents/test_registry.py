"""Loading agents from the configured modules."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.agents import AGENTS
from app.agents.registry import load_agents, load_providers
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


def test_providers_of_deps_stand_beside_the_agents(modules: Path) -> None:
    mine = write(modules, "registry_deps", "AGENTS = {'mine': Agent('test')}\nDEPS = {'mine': dict}")
    assert load_providers(["app.agents", mine], load_agents([mine])) == {"mine": dict}


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("registry_deps_list", "DEPS = [dict]", "`DEPS` in registry_deps_list must be"),
        ("registry_deps_other", "DEPS = {'other': dict}", "provider for 'other', but there is no such agent"),
        ("registry_deps_text", "DEPS = {'mine': 'x'}", r"DEPS\['mine'\]` in registry_deps_text is a str"),
    ],
)
def test_wrong_providers_are_named_with_the_fix(modules: Path, name: str, code: str, message: str) -> None:
    module = write(modules, name, f"AGENTS = {{'mine': Agent('test')}}\n{code}")
    with pytest.raises(UserError, match=message):
        load_providers([module], load_agents([module]))


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(UserError, match=r"'no\.such\.module' cannot be imported"):
        load_agents(["no.such.module"])


def write_package(folder: Path, name: str, **files: str) -> str:
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("")
    for file, content in files.items():
        (package / f"{file}.yaml").write_text(content)
    return name


def test_yaml_files_of_a_package_are_agents(modules: Path) -> None:
    package = write_package(
        modules,
        "registry_specs",
        poet="model: test\ninstructions: Answer in verse.\n",
        other="model: openai:gpt-5\nname: counter\n",
    )
    agents = load_agents([package])
    assert set(agents) == {"poet", "counter"}
    assert agents["poet"].name == "poet"
    assert agents["poet"].run_sync("hi").output == "success (no tool calls)"


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("registry_bad_spec", {"poet": "modle: test"}, r"poet\.yaml has no field 'modle'"),
        ("registry_not_yaml", {"poet": "a: b: c"}, r"poet\.yaml is not YAML"),
        ("registry_twice", {"a": "model: test\nname: b", "b": "model: test"}, r"named 'b', one of them in b\.yaml"),
    ],
)
def test_a_wrong_yaml_file_is_named(modules: Path, name: str, files: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_agents([write_package(modules, name, **files)])
