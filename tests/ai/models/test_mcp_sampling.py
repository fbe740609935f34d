"""Agents inside an MCP server's tools that use the model of whoever called: a real server process that asks back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from app.ai import Agent
from app.ai.exceptions import UnexpectedModelBehavior, UserError
from app.ai.mcp import MCPServerStdio
from app.ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    UserPromptPart,
)
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.mcp_sampling import MCPSamplingModel
from app.ai.usage import RequestUsage

ROOT = Path(__file__).parents[3]


async def test_an_agent_in_a_server_asks_the_model_of_its_client() -> None:
    asked: list[tuple[list[ModelMessage], Any]] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        asked.append((messages, info.model_settings))
        return ModelResponse(parts=[TextPart("roses are red")], usage=RequestUsage(output_tokens=3))

    module = ["-m", "tests.ai.mcp_sampling_server"]
    server = MCPServerStdio(sys.executable, module, cwd=ROOT, sampling_model=FunctionModel(answer), timeout=60)
    async with server:
        poem = await server.direct_call_tool("poem", {"theme": "flowers"})
    assert poem == {"text": "roses are red", "finish_reason": "stop", "provider": "MCP"}
    ((messages, settings),) = asked
    parts: list[Any] = [part for message in messages for part in message.parts]
    assert [type(part) for part in parts] == [SystemPromptPart, UserPromptPart]
    assert [part.content for part in parts] == ["Rhyme.", "A poem about flowers"]
    assert settings == {"max_tokens": 100, "temperature": 0.5}


class Client:
    """The side of a session that a model uses."""

    def __init__(self, answer: Any):
        self.answer = answer
        self.asked: list[Any] = []

    async def create_message(self, messages: list[Any], **options: Any) -> Any:
        self.asked.append((messages, options))
        return self.answer


def result(**fields: Any) -> Any:
    from mcp_types import CreateMessageResult, TextContent

    content = TextContent(text="ok")
    return CreateMessageResult(**{"role": "assistant", "content": content, "model": "claude", **fields})


async def test_history_media_and_settings_are_sent_as_the_protocol_has_them() -> None:
    session: Any = Client(result(stop_reason="maxTokens"))
    history: list[ModelMessage] = [
        ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart("Hello")]),
        ModelResponse(parts=[TextPart("Hi")]),
    ]
    agent = Agent(MCPSamplingModel(session), instructions="Be kind.")
    run = await agent.run(["Look", BinaryContent(b"p", media_type="image/png")], message_history=history)
    assert (run.response.model_name, run.response.finish_reason) == ("claude", "length")
    ((messages, options),) = session.asked
    assert [(item.role, item.content.type) for item in messages] == [
        ("user", "text"),
        ("assistant", "text"),
        ("user", "text"),
        ("user", "image"),
    ]
    assert (options["system_prompt"], options["max_tokens"]) == ("Be brief.\n\nBe kind.", 16_384)


async def test_what_the_protocol_cannot_carry_is_refused() -> None:
    agent = Agent(MCPSamplingModel(cast_session(Client(result()))))
    with pytest.raises(UserError, match="not ImageUrl"):
        await agent.run([ImageUrl("https://a.test/b.png")])
    agent.tool_plain(result)
    with pytest.raises(UserError, match="tools"):
        await agent.run("Use a tool")


async def test_an_answer_of_another_role_or_kind_is_an_error() -> None:
    from mcp_types import ImageContent

    for fields in ({"role": "user"}, {"content": ImageContent(data="", mime_type="image/png")}):
        with pytest.raises(UnexpectedModelBehavior, match="not as assistant with text"):
            await Agent(MCPSamplingModel(cast_session(Client(result(**fields))))).run("go")


def cast_session(client: Client) -> Any:
    return client
