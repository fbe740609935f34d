"""Whole runs of an agent over each API: a streamed call of a tool, its result, and the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.ai import Agent
from app.ai.models import Model
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.google import GoogleProvider
from app.ai.providers.openai import OpenAIProvider
from tests.ai.models import test_anthropic, test_google, test_openai_responses
from tests.ai.models.chat_server import Answer, delta, serve, stream

CALL = {"id": "c1", "index": 0, "function": {"name": "capital", "arguments": '{"country": "UK"}'}}


def chat() -> list[Answer]:
    return [stream(delta("tool_calls", tool_calls=[CALL])), stream(delta("stop", content="London"))]


def responses() -> list[Answer]:
    thought = test_openai_responses.ITEMS[0]
    call = {**test_openai_responses.ITEMS[3], "name": "capital", "arguments": '{"country": "UK"}'}
    items = ([thought, call], [test_openai_responses.message("London")])
    return [test_openai_responses.event_stream(*test_openai_responses.events_of(some)) for some in items]


def anthropic() -> list[Answer]:
    thought = test_anthropic.BLOCKS[0]
    call = {"type": "tool_use", "id": "c1", "name": "capital", "input": {"country": "UK"}}
    blocks = ([thought, call], [{"type": "text", "text": "London"}])
    return [test_anthropic.event_stream(*test_anthropic.streamed_blocks(some)) for some in blocks]


def google() -> list[Answer]:
    call = {"functionCall": {"name": "capital", "args": {"country": "UK"}}, "thoughtSignature": "c2ln"}
    parts = (call, {"text": "London"})
    return [test_google.event_stream(test_google.answer(part)) for part in parts]


@pytest.mark.parametrize(
    ("answers", "make_model", "kept"),
    [
        (chat, lambda url: OpenAIChatModel("m", provider=OpenAIProvider(base_url=url)), "c1"),
        (responses, lambda url: OpenAIResponsesModel("gpt-5", provider=OpenAIProvider(base_url=url)), "secret"),
        (anthropic, lambda url: AnthropicModel("m", provider=AnthropicProvider(base_url=url, api_key="k")), "sig"),
        (google, lambda url: GoogleModel("m", provider=GoogleProvider(base_url=url, api_key="k")), "c2ln"),
    ],
    ids=["chat", "responses", "anthropic", "google"],
)
@pytest.mark.parametrize("with_handler", [True, False])
async def test_an_agent_calls_a_tool_and_answers(
    answers: Callable[[], list[Answer]], make_model: Callable[[str], Model], kept: str, with_handler: bool
):
    asked: list[str] = []

    async def read(_: Any, events: Any) -> None:
        async for _ in events:
            pass

    def capital(country: str) -> str:
        """Tell the capital of a country."""
        asked.append(country)
        return "London"

    with serve(answers()) as server:
        async with make_model(server.url) as model:
            agent = Agent(model, tools=[capital])
            if not with_handler:
                async with agent.run_stream("UK?") as result:
                    output = await result.get_output()
            else:
                output = (await agent.run("UK?", event_stream_handler=read)).output
    assert (output, asked) == ("London", ["UK"])
    assert kept in str(server.requests[1])
