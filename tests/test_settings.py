"""Settings come from the environment and stop the start when they are wrong."""

from __future__ import annotations

import os

import pytest

from app.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("HOLDFAST_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)


def test_nothing_has_to_be_set() -> None:
    settings = load_settings()
    assert settings.database_url is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.agents == ("app.agents",)


def test_the_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://host/runs")
    monkeypatch.setenv("HOLDFAST_AGENTS", "app.agents, my.agents,")
    monkeypatch.setenv("HOLDFAST_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("HOLDFAST_API_KEY", "")
    settings = load_settings(port=9000)
    assert settings.database_url == "postgresql://host/runs"
    assert settings.agents == ("app.agents", "my.agents")
    assert settings.log_level == "debug"
    assert settings.api_key is None
    assert settings.port == 9000


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HOLDFAST_PORT", "eighty"),
        ("HOLDFAST_PORT", "70000"),
        ("HOLDFAST_DRAIN_SECONDS", "-1"),
        ("HOLDFAST_LOG_LEVEL", "loud"),
        ("HOLDFAST_TOOL_THREADS", "0"),
    ],
)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=f"^{variable}: "):
        load_settings()


def test_other_machines_are_let_in_only_with_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_HOST", "0.0.0.0")
    with pytest.raises(SettingsError, match="Set HOLDFAST_API_KEY to a long random text"):
        load_settings()
    monkeypatch.setenv("HOLDFAST_API_KEY", "hunter2")
    assert "hunter2" not in repr(load_settings())
