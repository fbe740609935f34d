"""What a `DBOSAgent` refuses, because a recovered run would not know it."""

from __future__ import annotations

import pytest

from app.ai import Agent
from app.ai.agent import WrapperAgent
from app.ai.durable_exec.dbos import DBOSAgent
from app.ai.exceptions import UserError
from app.ai.mcp import MCPServerStdio
from app.ai.models.test import TestModel
from tests.durable.test_agent import cities, plain_durable


def test_an_agent_without_a_name_is_refused() -> None:
    with pytest.raises(UserError, match="unique name"):
        DBOSAgent(Agent("test"))


def test_an_agent_without_a_model_is_refused() -> None:
    with pytest.raises(UserError, match="has a model"):
        DBOSAgent(Agent(name="facade_no_model"))


def test_a_server_without_an_id_is_refused() -> None:
    with pytest.raises(UserError, match="needs an `id`"):
        DBOSAgent(Agent("test", name="facade_no_id", toolsets=[MCPServerStdio("true", [])]))


def test_a_name_is_for_one_agent_and_for_ever() -> None:
    with pytest.raises(Exception, match="Duplicate instance registration"):
        DBOSAgent(Agent("test"), name="facade_plain")
    with pytest.raises(UserError, match="cannot change"):
        plain_durable.name = "another"


async def test_another_model_for_one_run_is_refused() -> None:
    with pytest.raises(UserError, match="define another DBOSAgent"):
        await cities.run("hi", model="test")
    with pytest.raises(UserError, match="define another DBOSAgent"):
        cities.iter("hi", model=TestModel())


async def test_events_as_a_stream_are_refused() -> None:
    with pytest.raises(UserError, match="event_stream_handler"):
        cities.run_stream_events("hi")


async def test_a_run_under_an_overridden_model_is_refused() -> None:
    enclosed = DBOSAgent(WrapperAgent(Agent("test", name="facade_enclosed")))
    with enclosed.override(model=TestModel()), pytest.raises(UserError, match="would not know an overridden model"):
        await enclosed.run("go")
    with cities.override(model=TestModel()), pytest.raises(UserError, match="would not know an overridden model"):
        await cities.run("go")
