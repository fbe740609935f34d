"""What users derive from the abstract classes needs only what these say is missing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

import pytest

from app.ai import (
    AbstractToolset,
    Agent,
    AgentRun,
    ModelMessage,
    ModelResponse,
    ModelSettings,
    RunContext,
    TextPart,
)
from app.ai.agent import AbstractAgent
from app.ai.capabilities import AbstractCapability, WrapperCapability
from app.ai.exceptions import UserError
from app.ai.models import Model, ModelRequestParameters
from app.ai.models.test import TestModel
from app.ai.models.wrapper import WrapperModel
from app.ai.native_tools import AbstractNativeTool, WebSearchTool


class Parrot(Model):
    def __init__(self, answer: str):  # does not call that of Model
        self.answer = answer

    @property
    def model_name(self) -> str:
        return "parrot"

    @property
    def system(self) -> str:
        return "birds"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        return ModelResponse([TextPart(self.answer)])


async def test_a_model_needs_a_name_a_system_and_a_request():
    assert (await Agent(Parrot("hello"), model_settings={"seed": 1}).run("go")).output == "hello"


class Proxy(AbstractAgent[None, str]):
    def __init__(self, agent: Agent[None, str]):
        self.agent = agent
        self._name: str | None = None

    @property
    def model(self) -> Any:
        return self.agent.model

    @property
    def name(self) -> str | None:
        return self._name

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    @property
    def deps_type(self) -> type:
        return self.agent.deps_type

    @property
    def output_type(self) -> Any:
        return self.agent.output_type

    @property
    def event_stream_handler(self) -> None:
        return None

    @property
    def toolsets(self) -> list[AbstractToolset[None]]:
        return []

    def iter(self, user_prompt: Any = None, **options: Any) -> AbstractAsyncContextManager[AgentRun[None, Any]]:
        return self.agent.iter(user_prompt, **options)

    def override(self, **overrides: Any) -> AbstractContextManager[None]:
        return self.agent.override(**overrides)

    async def __aenter__(self) -> Proxy:
        return self

    async def __aexit__(self, *args: object) -> None: ...


async def test_an_agent_needs_no_description_and_no_capabilities():
    proxy = Proxy(Agent(TestModel()))
    assert (await proxy.run("go")).output == "success (no tool calls)"
    assert (proxy.name, proxy.description, list(proxy.root_capability.capabilities)) == ("proxy", None, [])


class Told(AbstractCapability[Any]):
    def __init__(self, text: str):  # does not call that of AbstractCapability
        self.text = text

    async def for_run(self, ctx: RunContext[Any]) -> Told:
        return Told(self.text)

    def get_instructions(self) -> str:
        return self.text


class Named(WrapperCapability[Any]):
    def __init__(self, name: str, wrapped: AbstractCapability[Any]):
        super().__init__(wrapped=wrapped)
        self.name = name


async def test_capabilities_may_have_constructors_of_their_own():
    result = await Agent(TestModel(), capabilities=[Named("mine", Told("Be kind."))]).run("go")
    assert [message.instructions for message in result.all_messages() if message.kind == "request"] == ["Be kind."]


def test_a_model_has_only_the_native_tools_that_it_names():
    parameters = ModelRequestParameters(native_tools=[WebSearchTool()])
    with pytest.raises(UserError, match="has no native tool WebSearchTool"):
        WrapperModel(Echo()).prepare_request(None, parameters)

    class Searching(Echo):
        def supported_native_tools(self) -> frozenset[type[AbstractNativeTool]]:
            return frozenset({WebSearchTool})

    assert WrapperModel(Searching()).prepare_request(None, parameters) == (None, parameters)
    assert WrapperModel(Searching()).supported_native_tools() == {WebSearchTool}


class Echo(Parrot):
    def __init__(self):
        Model.__init__(self)
