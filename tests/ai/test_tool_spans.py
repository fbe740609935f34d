"""What spans of tools and output functions tell, and requests without an agent."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any

import pytest
from opentelemetry import baggage
from opentelemetry.trace import StatusCode
from pydantic import BaseModel

from app.ai import (
    Agent,
    BinaryContent,
    InstrumentationSettings,
    ModelRetry,
    PromptedOutput,
    RequestUsage,
    RunContext,
    TextOutput,
)
from app.ai.capabilities import Instrumentation
from app.ai.direct import model_request, model_request_stream
from app.ai.messages import (
    AgentStreamEvent,
    CachePoint,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryPromptPart,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.instrumented import CostCalculationFailedWarning, InstrumentedModel
from app.ai.models.test import TestModel
from app.ai.tools import Tool
from tests.ai.scripted import call, scripted
from tests.ai.telescope import Telescope

IMAGE = BinaryContent(b"\xff\x00", media_type="image/png")


@pytest.fixture
def telescope() -> Telescope:
    return Telescope()


def agent_with(tool: Any, settings: InstrumentationSettings, args: Any = None) -> Agent[Any, Any]:
    model, _ = scripted(call("tool", args, "c1"), "done")
    return Agent(model, name="adder", tools=[Tool(tool, name="tool")], instrument=settings)


# --- arguments and results


@pytest.mark.parametrize("args", [{"a": 1, "b": [2]}, '{"a":1,"b":[2]}'])
async def test_arguments_are_told_as_the_model_sent_them(telescope: Telescope, args: Any) -> None:
    async def tool(a: int, b: list[int], c: str = "unsaid") -> dict[str, int]:
        return {"sum": a + b[0]}

    await agent_with(tool, telescope.settings(), args).run("go")
    span = telescope.attributes("running tool")
    assert span["tool_arguments"] == '{"a":1,"b":[2]}'
    assert span["tool_response"] == '{"sum":3}'


@pytest.mark.parametrize(
    ("value", "shown", "hidden"),
    [
        (b"\xff", '"_w=="', '"_w=="'),
        (None, "null", "null"),
        ([{"at": 1.5}], '[{"at":1.5}]', '[{"at":1.5}]'),
        (
            [IMAGE],
            '[{"data":"_wA=","media_type":"image/png","vendor_metadata":null,"kind":"binary","identifier":"da33e4"}]',
            '[{"media_type":"image/png","vendor_metadata":null,"kind":"binary","identifier":"da33e4"}]',
        ),
    ],
)
async def test_any_result_is_told_with_files_only_if_they_are_wanted(
    telescope: Telescope, value: Any, shown: str, hidden: str
) -> None:
    def tool() -> Any:
        return value

    for include, expected in ((True, shown), (False, hidden)):
        telescope.exporter.clear()
        await agent_with(tool, telescope.settings(include_binary_content=include)).run("go")
        assert telescope.attributes("running tool")["tool_response"] == expected
        messages = json.loads(telescope.attributes("agent run")["pydantic_ai.all_messages"])
        assert messages[2]["parts"][0]["result"] == json.loads(expected)


async def test_spans_below_a_run_learn_its_ids_as_baggage(telescope: Telescope) -> None:
    found: list[dict[str, object]] = []

    def tool() -> None:
        found.append(dict(baggage.get_all()))

    result = await agent_with(tool, telescope.settings()).run("go")
    assert found == [
        {
            "gen_ai.agent.name": "adder",
            "gen_ai.agent.call.id": result.run_id,
            "gen_ai.conversation.id": result.conversation_id,
        }
    ]
    assert telescope.attributes("running tool").items() >= found[0].items()
    assert not baggage.get_all()


# --- output functions


class City(BaseModel):
    name: str


def greet(city: City) -> str:
    return f"Hello {city.name}"


def repeat(word: str, times: int = 2) -> list[str]:
    return [word] * times


def shout(ctx: RunContext[Any], text: str, mark: str = "!") -> str:
    return text.upper() + mark


@pytest.mark.parametrize(
    ("output_type", "answer", "name", "arguments", "response"),
    [
        (greet, call("final_result", {"name": "Oslo"}), "final_result", '{"name":"Oslo"}', "Hello Oslo"),
        (repeat, call("final_result", {"word": "a"}), "final_result", '{"word":"a","times":2}', '["a", "a"]'),
        (TextOutput(shout), "hi", "shout", '{"text":"hi"}', "HI!"),
        (TextOutput(int), "7", "int", '{"text":"7"}', "7"),
        (PromptedOutput(repeat), '{"word": "a"}', "repeat", '{"word":"a","times":2}', '["a", "a"]'),
        (
            PromptedOutput([greet, repeat]),
            '{"result": {"kind": "greet", "data": {"name": "Oslo"}}}',
            "greet",
            '{"name":"Oslo"}',
            "Hello Oslo",
        ),
    ],
)
async def test_an_output_function_is_told_with_its_arguments(
    telescope: Telescope, output_type: Any, answer: Any, name: str, arguments: str, response: str
) -> None:
    model, _ = scripted(answer)
    agent: Agent[Any, Any] = Agent(model, output_type=output_type, instrument=telescope.settings())
    await agent.run("go")
    span = telescope.attributes("running output function")
    assert span["gen_ai.tool.name"] == name
    assert span["logfire.msg"] == f"running output function: {name}"
    assert (span["tool_arguments"], span["tool_response"]) == (arguments, response)
    assert ("gen_ai.tool.call.id" in span) == (name == "final_result")


async def test_output_functions_that_refuse_or_fail_are_errors(telescope: Telescope) -> None:
    tries: list[str] = []

    def picky(word: str) -> str:
        tries.append(word)
        if len(tries) == 1:
            raise ModelRetry("another word")
        raise ZeroDivisionError

    model, _ = scripted(call("final_result", {"word": "a"}), call("final_result", {"word": "b"}))
    with pytest.raises(ZeroDivisionError):
        await Agent(model, output_type=picky, instrument=telescope.settings()).run("go")
    first, second = (span for span in telescope.exporter.get_finished_spans() if span.name.startswith("running"))
    assert first.status.status_code is second.status.status_code is StatusCode.ERROR
    asked = RetryPromptPart("another word", tool_name="final_result").model_response()
    assert (first.attributes or {})["tool_response"] == asked
    assert "tool_response" not in (second.attributes or {})
    assert (second.events[0].attributes or {})["exception.type"] == "ZeroDivisionError"


async def test_without_content_an_output_function_keeps_to_itself(telescope: Telescope) -> None:
    agent = Agent(TestModel(), output_type=repeat, instrument=telescope.settings(include_content=False))
    await agent.run("go")
    span = telescope.attributes("running output function")
    assert "tool_arguments" not in span and "tool_response" not in span
    assert json.loads(span["logfire.json_schema"])["properties"].keys() == {"gen_ai.tool.name", "gen_ai.tool.call.id"}


# --- without an agent


@pytest.fixture
def instrumented_by_default(telescope: Telescope) -> Iterator[None]:
    Agent.instrument_all(telescope.settings())
    yield
    Agent.instrument_all(False)


async def test_requests_without_an_agent_follow_instrument_all(
    telescope: Telescope, instrumented_by_default: None
) -> None:
    messages = [ModelRequest.user_text_prompt("hi")]
    await model_request("test", messages, instrument=False)
    assert telescope.spans == {}
    await model_request("test", messages)
    async with model_request_stream("test", messages) as stream:
        async for _ in stream:
            pass
    assert [span.name for span in telescope.exporter.get_finished_spans()] == ["chat test", "chat test"]


async def breaks_off(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "so far"
    raise OSError("no network")


async def keep_reading(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    async for _ in events:
        pass


@pytest.mark.parametrize("reads_itself", [True, False])
async def test_a_stream_that_breaks_off_is_an_error_once(telescope: Telescope, reads_itself: bool) -> None:
    model = FunctionModel(stream_function=breaks_off, model_name="m")
    agent = Agent(model, instrument=telescope.settings())
    with pytest.raises(OSError, match="no network"):
        if reads_itself:
            async with agent.run_stream("go") as result:
                await result.get_output()
        else:
            await agent.run("go", event_stream_handler=keep_reading)
    span = telescope.spans["chat m"]
    assert span.status.status_code is StatusCode.ERROR and [event.name for event in span.events] == ["exception"]
    told = json.loads(telescope.attributes("chat m")["gen_ai.output.messages"])
    assert told == [{"role": "assistant", "parts": [{"type": "text", "content": "so far"}]}]


@pytest.mark.parametrize("version", [1, 2, 4])
async def test_markers_and_unwanted_files_are_left_out(telescope: Telescope, version: Any) -> None:
    def tool() -> list[Any]:
        return [IMAGE, b"\xff"]

    agent = agent_with(tool, telescope.settings(version=version, include_binary_content=False))
    await agent.run(["look", CachePoint(), IMAGE])
    told = json.dumps([dict(span.attributes or {}) for span in telescope.exporter.get_finished_spans()])
    assert "look" in told and "cache-point" not in told and "_wA=" not in told


async def test_a_price_that_cannot_be_calculated_is_a_warning(telescope: Telescope) -> None:
    class Priceless(ModelResponse):
        def cost(self) -> Any:
            raise RuntimeError("no such currency")

    model, _ = scripted(Priceless([TextPart("hi")], usage=RequestUsage(input_tokens=1), model_name="m"))
    instrumented = InstrumentedModel(model, telescope.settings())
    with pytest.warns(CostCalculationFailedWarning, match="RuntimeError: no such currency"):
        await model_request(instrumented, [ModelRequest.user_text_prompt("hi")])
    (span,) = telescope.spans
    assert "operation.cost" not in telescope.attributes(span)


async def test_a_function_may_choose_to_instrument_a_run(telescope: Telescope) -> None:
    def chosen(ctx: RunContext[bool]) -> Instrumentation[bool] | None:
        return Instrumentation(telescope.settings()) if ctx.deps else None

    agent = Agent(TestModel(), deps_type=bool, capabilities=[chosen], tools=[Tool(lambda: None, name="tool")])
    await agent.run("go", deps=False)
    assert telescope.spans == {}
    await agent.run("go", deps=True)
    assert telescope.spans.keys() == {"agent run", "chat test", "running tool"}


def test_the_capability_has_settings_without_being_given_any() -> None:
    assert isinstance(Instrumentation[Any]().settings, InstrumentationSettings)


async def test_a_tool_without_a_description_is_defined_without_one(telescope: Telescope) -> None:
    def tool() -> None: ...

    await agent_with(tool, telescope.settings()).run("go")
    name = next(name for name in telescope.spans if name.startswith("chat "))
    (definition,) = json.loads(telescope.attributes(name)["gen_ai.tool.definitions"])
    assert definition.keys() == {"type", "name", "parameters"}


def test_parts_tell_themselves_as_events() -> None:
    settings = InstrumentationSettings(version=1)
    event = UserPromptPart("hi").otel_event(settings)
    assert (event.attributes, event.body) == ({"event.name": "gen_ai.user.message"}, {"role": "user", "content": "hi"})
    (event,) = ModelResponse([TextPart("yo"), ToolCallPart("look", {"a": 1}, "c")]).otel_events(settings)
    assert event.body == {
        "role": "assistant",
        "content": "yo",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "look", "arguments": {"a": 1}}}],
    }
