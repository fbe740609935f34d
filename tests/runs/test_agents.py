"""What clients are told about agents."""

from __future__ import annotations

from app.ai import Agent
from app.ai.models.test import TestModel
from app.runs.agents import describe_agents


def test_agents_are_described_without_their_instructions() -> None:
    agent = Agent(TestModel(), output_type=int, instructions="keep this secret")

    @agent.tool_plain
    def dice() -> int:
        return 4

    (described,) = describe_agents({"gambler": agent}, version="v7").values()
    assert (described.name, described.version, described.output_type) == ("gambler", "v7", "int")
    assert (described.model, described.tools, described.toolsets) == ("test:test", ["dice"], [])
    assert "secret" not in described.model_dump_json()


def test_an_agent_may_have_no_model_of_its_own() -> None:
    assert describe_agents({"any": Agent()}, version="1")["any"].model is None
