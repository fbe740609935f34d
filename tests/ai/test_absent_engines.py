"""Durable engines that do not run here."""

from __future__ import annotations

from typing import Any

import pytest

from app.ai import Agent
from app.ai.durable_exec.prefect import PrefectAgent, TaskConfig
from app.ai.durable_exec.temporal import PydanticAIPlugin, TemporalAgent
from app.ai.exceptions import UserError


@pytest.mark.parametrize(
    ("kind", "engine"), [(TemporalAgent, "Temporal"), (PydanticAIPlugin, "Temporal"), (PrefectAgent, "Prefect")]
)
def test_engines_that_are_not_installed_say_what_to_use_instead(kind: type[Any], engine: str) -> None:
    with pytest.raises(UserError, match=f"{kind.__name__} needs the engine {engine}.*DBOSAgent"):
        kind(Agent("test", name="a"), model_task_config=TaskConfig(retries=3))
