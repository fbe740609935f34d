"""What runs tell OpenTelemetry, read back from memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import SpanKind, StatusCode

from app.ai import Agent, BinaryContent, ImageUrl, ModelRetry, RequestUsage, RunContext, TemplateStr
from app.ai.capabilities import Instrumentation
from app.ai.direct import model_request
from app.ai.exceptions import ApprovalRequired, ModelHTTPError, UserError
from app.ai.messages import ModelRequest, ModelResponse, TextPart, ThinkingPart, ToolCallPart, UserPromptPart
from app.ai.models.fallback import FallbackModel
from app.ai.models.instrumented import InstrumentationSettings, InstrumentedModel, instrument_model
from app.ai.models.test import TestModel
from app.ai.tools import DeferredToolRequests
from tests.ai.scripted import scripted
from tests.ai.telescope import Telescope

CALL = ToolCallPart("add", {"a": 1, "b": 2}, "call-1")
ANSWER = ModelResponse(
    [TextPart("three")],
    usage=RequestUsage(input_tokens=10, output_tokens=5),
    model_name="scripted-1",
    finish_reason="stop",
    provider_response_id="response-1",
)


@pytest.fixture
def telescope() -> Telescope:
    return Telescope()


def adding_agent(settings: InstrumentationSettings, *answers: Any, **options: Any) -> Agent[Any, Any]:
    model, _ = scripted(*(answers or ([CALL], ANSWER)))
    agent = Agent(model, name="adder", instrument=settings, **options)

    @agent.tool_plain
    def add(a: int, b: int) -> int:
        return a + b

    return agent


# --- spans


async def test_a_run_its_requests_and_its_tool_calls_are_spans_of_one_trace(telescope: Telescope) -> None:
    await adding_agent(telescope.settings(version=3)).run("add")
    finished = telescope.exporter.get_finished_spans()
    names = [span.name for span in finished]
    model = names[0].removeprefix("chat ")
    assert names == [f"chat {model}", "execute_tool add", f"chat {model}", "invoke_agent adder"]
    run = finished[-1].get_span_context()
    assert all(span.parent == run for span in finished[:-1])
    assert [span.kind for span in finished] == [SpanKind.CLIENT, SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.INTERNAL]


async def test_version_2_has_the_old_names(telescope: Telescope) -> None:
    await adding_agent(telescope.settings()).run("add")
    assert {"agent run", "running tool"} <= telescope.spans.keys()
    tool = telescope.attributes("running tool")
    assert json.loads(tool["tool_arguments"]) == {"a": 1, "b": 2}
    assert tool["tool_response"] == "3"
    assert tool["logfire.msg"] == "running tool: add"


async def test_the_span_of_a_run_tells_what_was_said_and_used(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(), instructions="Be exact.", metadata={"team": "sums"})
    result = await agent.run("add")
    span = telescope.attributes("agent run")
    assert span["gen_ai.agent.name"] == span["agent_name"] == "adder"
    assert span["gen_ai.agent.call.id"] == result.run_id
    assert span["gen_ai.conversation.id"] == result.conversation_id
    assert span["gen_ai.operation.name"] == "invoke_agent"
    assert span["final_result"] == "three"
    assert span["gen_ai.usage.output_tokens"] == result.usage().output_tokens
    assert json.loads(span["metadata"]) == {"team": "sums"}
    assert json.loads(span["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be exact."}]
    assert [message["role"] for message in json.loads(span["pydantic_ai.all_messages"])] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]
    assert json.loads(span["logfire.json_schema"])["properties"]["pydantic_ai.all_messages"] == {"type": "array"}
    assert "pydantic_ai.new_message_index" not in span
    assert "pydantic_ai.variable_instructions" not in span


async def test_tools_make_spans_of_their_own_with_the_tracer_of_the_run(telescope: Telescope) -> None:
    def look(ctx: RunContext[Any]) -> list[Any]:
        with ctx.tracer.start_as_current_span("inside"):
            return [ctx.trace_include_content, ctx.instrumentation_version]

    def agent(**options: Any) -> Agent[Any, Any]:
        return Agent(TestModel(), tools=[look], name="looker", **options)

    told = await agent(instrument=telescope.settings(version=3, include_content=False)).run("go")
    assert told.output == '{"look":[false,3]}'
    inside, tool = (telescope.spans[name] for name in ("inside", "execute_tool look"))
    assert inside.parent == tool.get_span_context()
    telescope.exporter.clear()
    assert (await agent().run("go")).output == '{"look":[false,2]}'
    assert telescope.spans == {}


async def test_history_and_changing_instructions_are_told(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(), [CALL], ANSWER, [CALL], ANSWER)

    @agent.instructions
    def step(ctx: RunContext[Any]) -> str:
        return f"step {ctx.run_step}"

    first = await agent.run("add")
    telescope.exporter.clear()
    await agent.run("again", message_history=first.all_messages())
    span = telescope.attributes("agent run")
    assert span["pydantic_ai.new_message_index"] == 4
    assert span["pydantic_ai.variable_instructions"] is True
    assert json.loads(span["gen_ai.system_instructions"])[0]["content"] == "step 2"


async def test_the_span_of_a_request_tells_model_settings_messages_and_response(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(), ANSWER, model_settings={"temperature": 0.5, "max_tokens": 7})
    result = await agent.run("add")
    name = next(name for name in telescope.spans if name.startswith("chat "))
    span = telescope.attributes(name)
    assert span["gen_ai.operation.name"] == "chat"
    assert span["gen_ai.provider.name"] == span["gen_ai.system"] == "function"
    assert name == f"chat {span['gen_ai.request.model']}"
    assert (span["gen_ai.request.temperature"], span["gen_ai.request.max_tokens"]) == (0.5, 7)
    assert [tool["name"] for tool in json.loads(span["gen_ai.tool.definitions"])] == ["add"]
    assert json.loads(span["model_request_parameters"])["output_mode"] == "text"
    assert json.loads(span["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "add"}]}
    ]
    assert json.loads(span["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "three"}], "finish_reason": "stop"}
    ]
    assert span["gen_ai.response.id"] == "response-1"
    assert span["gen_ai.response.finish_reasons"] == ("stop",)
    assert span["gen_ai.usage.input_tokens"] == 10
    assert span["gen_ai.agent.call.id"] == result.run_id


async def test_a_streamed_request_is_told_when_it_has_ended(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(), "some words")
    async with agent.run_stream("go") as result:
        await result.get_output()
    name = next(name for name in telescope.spans if name.startswith("chat "))
    output = json.loads(telescope.attributes(name)["gen_ai.output.messages"])
    assert output[0]["parts"] == [{"type": "text", "content": "some words "}]


async def test_an_error_of_the_model_ends_both_spans_as_errors(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(), OSError("no network"))
    with pytest.raises(OSError, match="no network"):
        await agent.run("go")
    for span in telescope.exporter.get_finished_spans():
        assert span.status.status_code is StatusCode.ERROR
        assert [event.name for event in span.events] == ["exception"]


# --- tools


async def test_a_tool_that_asks_for_a_retry_is_told_with_its_text(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(version=4), [ToolCallPart("fussy", {}, "c")], "done")

    @agent.tool_plain
    def fussy() -> str:
        raise ModelRetry("try harder")

    await agent.run("go")
    span = telescope.spans["execute_tool fussy"]
    assert span.status.status_code is StatusCode.ERROR
    assert "try harder" in str((span.attributes or {})["gen_ai.tool.call.result"])
    assert len(span.events) == 1


@pytest.mark.parametrize(("version", "status"), [(4, StatusCode.ERROR), (5, StatusCode.UNSET)])
async def test_a_deferred_call_is_no_error_from_version_5_on(
    telescope: Telescope, version: Any, status: StatusCode
) -> None:
    answers: Any = ([ToolCallPart("careful", {}, "c")],)
    options: Any = {"output_type": [str, DeferredToolRequests]}
    agent = adding_agent(telescope.settings(version=version), *answers, **options)

    @agent.tool_plain
    def careful() -> str:
        raise ApprovalRequired(metadata={"why": "costs money"})

    await agent.run("go")
    span = telescope.spans["execute_tool careful"]
    assert span.status.status_code is status
    attributes = dict(span.attributes or {})
    assert attributes["pydantic_ai.tool.deferral.name"] == "ApprovalRequired"
    assert json.loads(str(attributes["pydantic_ai.tool.deferral.metadata"])) == {"why": "costs money"}


# --- content


async def test_without_content_only_the_structure_is_told(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(include_content=False, version=3), instructions="secret instructions")
    await agent.run("secret prompt")
    everything = json.dumps([dict(span.attributes or {}) for span in telescope.exporter.get_finished_spans()])
    for secret in ("secret", "three", '\\"a\\": 1'):
        assert secret not in everything
    run = telescope.attributes("invoke_agent adder")
    assert "final_result" not in run
    assert json.loads(run["pydantic_ai.all_messages"])[1] == {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "call-1", "name": "add"}],
    }
    assert "gen_ai.tool.call.arguments" not in telescope.attributes("execute_tool add")


FILES: list[Any] = [
    "look",
    ImageUrl("https://example.org/cat.png"),
    BinaryContent(b"sound", media_type="audio/wav"),
]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (
            {"version": 3},
            [
                {"type": "image-url", "url": "https://example.org/cat.png"},
                {"type": "binary", "media_type": "audio/wav", "content": "c291bmQ="},
            ],
        ),
        (
            {"version": 4},
            [
                {
                    "type": "uri",
                    "modality": "image",
                    "mime_type": "image/png",
                    "uri": "https://example.org/cat.png",
                },
                {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "c291bmQ="},
            ],
        ),
        (
            {"version": 2, "include_binary_content": False},
            [
                {"type": "image-url", "url": "https://example.org/cat.png"},
                {"type": "binary", "media_type": "audio/wav"},
            ],
        ),
    ],
)
async def test_files_are_told_as_the_version_says(telescope: Telescope, options: Any, parts: list[Any]) -> None:
    await adding_agent(telescope.settings(**options), "nice").run(FILES)
    name = next(name for name in telescope.spans if name.startswith("chat "))
    message = json.loads(telescope.attributes(name)["gen_ai.input.messages"])[0]
    assert message["parts"] == [{"type": "text", "content": "look"}, *parts]


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_thinking_is_told_in_its_place(version: Any) -> None:
    response = ModelResponse([TextPart("Well"), ThinkingPart("hm"), TextPart("yes")])
    shown, hidden = (InstrumentationSettings(version=version, include_content=content) for content in (True, False))
    assert shown.messages_to_otel_messages([response])[0]["parts"] == [
        {"type": "text", "content": "Well"},
        {"type": "thinking", "content": "hm"},
        {"type": "text", "content": "yes"},
    ]
    assert hidden.messages_to_otel_messages([response])[0]["parts"][1] == {"type": "thinking"}


# --- metrics


async def test_tokens_are_counted_by_kind(telescope: Telescope) -> None:
    await adding_agent(telescope.settings(), ANSWER).run("go")
    points = {(point.attributes or {})["gen_ai.token.type"]: point for point in telescope.points()}
    assert {kind: point.sum for kind, point in points.items()} == {"input": 10, "output": 5}
    assert dict(points["input"].attributes or {})["gen_ai.response.model"] == "scripted-1"


async def test_usage_of_runs_can_have_names_of_its_own(telescope: Telescope) -> None:
    await adding_agent(telescope.settings(use_aggregated_usage_attribute_names=True), ANSWER).run("go")
    span = telescope.attributes("agent run")
    assert span["gen_ai.aggregated_usage.input_tokens"] == 10
    assert "gen_ai.usage.input_tokens" not in span


# --- switching it on and off


@pytest.fixture
def instrument_all() -> Iterator[Callable[..., None]]:
    yield Agent.instrument_all
    Agent.instrument_all(False)


async def test_all_agents_that_do_not_say_otherwise_are_instrumented(
    telescope: Telescope, instrument_all: Callable[..., None]
) -> None:
    instrument_all(telescope.settings())
    await Agent(TestModel(), name="silent", instrument=False).run("go")
    assert telescope.spans == {}
    await Agent(TestModel(), name="open", description=TemplateStr("An agent")).run("go")
    assert telescope.attributes("agent run")["gen_ai.agent.description"] == "An agent"


async def test_an_agent_can_be_given_instrumentation_as_a_capability(telescope: Telescope) -> None:
    await Agent(TestModel(), name="able", capabilities=[Instrumentation(telescope.settings())]).run("go")
    assert list(telescope.spans) == ["chat test", "agent run"]
    assert Agent.from_spec({"model": "test", "capabilities": ["Instrumentation"]}).instrumentation is not None


async def test_a_model_alone_can_be_instrumented(telescope: Telescope) -> None:
    model = instrument_model(TestModel(), telescope.settings())
    assert instrument_model(model, True) is model
    assert isinstance(model, InstrumentedModel)
    await Agent(model).run("go")
    assert list(telescope.spans) == ["chat test"]


def test_an_unknown_version_is_refused() -> None:
    version: Any = 6
    with pytest.raises(UserError, match="version 6"):
        InstrumentationSettings(version=version)
    with pytest.warns(UserWarning, match="version 1"):
        assert InstrumentationSettings(event_mode="logs").version == 1


def test_agents_without_instrumentation_do_not_load_opentelemetry() -> None:
    code = (
        "import sys; from app.ai import Agent; Agent('test').run_sync('go');"
        "sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- output functions, other models, costs


def shout(text: str) -> str:
    return text.upper()


@pytest.mark.parametrize(("version", "name"), [(2, "running output function"), (3, "execute_tool final_result")])
async def test_an_output_function_is_told_like_a_tool(telescope: Telescope, version: Any, name: str) -> None:
    agent = adding_agent(
        telescope.settings(version=version), [ToolCallPart("final_result", {"text": "hi"}, "c")], output_type=shout
    )
    assert (await agent.run("go")).output == "HI"
    span = telescope.attributes(name)
    assert span["logfire.msg"] == "running output function: final_result"
    assert (span["gen_ai.tool.name"], span["gen_ai.tool.call.id"]) == ("final_result", "c")
    assert span["tool_response" if version == 2 else "gen_ai.tool.call.result"] == "HI"
    properties = json.loads(span["logfire.json_schema"])["properties"]
    assert properties["gen_ai.tool.name"] == {} and {"type": "object"} in properties.values()


async def test_a_run_can_be_instrumented_alone(telescope: Telescope) -> None:
    await Agent(TestModel(), name="once").run("go", capabilities=[Instrumentation(telescope.settings())])
    assert list(telescope.spans) == ["chat test", "agent run"]


async def test_the_span_of_a_request_names_the_model_that_answered_in_the_end(telescope: Telescope) -> None:
    broken, _ = scripted(ModelHTTPError(500, "broken"))
    model = FallbackModel(broken, TestModel(model_name="other"))
    await Agent(model, name="careful", instrument=telescope.settings()).run("go")
    span = telescope.attributes("chat other")
    assert (span["gen_ai.request.model"], span["gen_ai.system"]) == ("other", "test")


async def test_costs_are_told_where_the_price_is_known(telescope: Telescope) -> None:
    answer = replace(ANSWER, model_name="gpt-4o", provider_name="openai")
    await adding_agent(telescope.settings(), answer).run("go")
    name = next(name for name in telescope.spans if name.startswith("chat "))
    assert telescope.attributes(name)["operation.cost"] == pytest.approx(0.000075)
    data = telescope.reader.get_metrics_data()
    assert data is not None
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    assert [metric.name for metric in metrics] == ["gen_ai.client.token.usage", "operation.cost"]


# --- events of version 1


async def test_version_1_has_messages_as_events(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(version=1), instructions="Be exact.", system_prompt="Hello.")
    await agent.run("add")
    *_, last = (span for span in telescope.exporter.get_finished_spans() if span.name.startswith("chat "))
    attributes = dict(last.attributes or {})
    assert "gen_ai.input.messages" not in attributes
    events = json.loads(str(attributes["events"]))
    assert {event["gen_ai.system"] for event in events} == {"function"}
    assert [(event["event.name"], event.get("content"), event.get("gen_ai.message.index")) for event in events] == [
        ("gen_ai.system.message", "Be exact.", None),
        ("gen_ai.system.message", "Hello.", 0),
        ("gen_ai.user.message", "add", 0),
        ("gen_ai.assistant.message", None, 1),
        ("gen_ai.tool.message", 3, 2),
        ("gen_ai.choice", None, None),
    ]
    assert events[3]["tool_calls"] == [
        {"id": "call-1", "type": "function", "function": {"name": "add", "arguments": {"a": 1, "b": 2}}}
    ]
    assert events[-1]["message"] == {"role": "assistant", "content": "three"}
    run = telescope.attributes("agent run")
    assert len(json.loads(run["all_messages_events"])) == 6 and "pydantic_ai.all_messages" not in run
    assert json.loads(run["logfire.json_schema"])["properties"]["all_messages_events"] == {"type": "array"}


async def test_events_may_go_to_the_logs(telescope: Telescope) -> None:
    exporter = InMemoryLogRecordExporter()
    loggers = LoggerProvider()
    loggers.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    settings = telescope.settings(version=1, event_mode="logs", logger_provider=loggers, include_content=False)
    await adding_agent(settings, "done").run(FILES)
    user, choice = (item.log_record for item in exporter.get_finished_logs())
    assert user.body == {
        "role": "user",
        "content": [{"kind": "text"}, {"kind": "image-url"}, {"kind": "binary", "media_type": "audio/wav"}],
    }
    assert choice.attributes == {"event.name": "gen_ai.choice", "gen_ai.system": "function"}
    name = next(name for name in telescope.spans if name.startswith("chat "))
    assert "events" not in telescope.attributes(name)
    context = telescope.spans[name].get_span_context()
    assert context is not None and choice.span_id == context.span_id


async def test_results_of_tools_are_told_as_data(telescope: Telescope) -> None:
    agent = adding_agent(telescope.settings(), [ToolCallPart("look", {}, "c")], "done")

    @agent.tool_plain
    def look() -> dict[str, int]:
        return {"found": 1}

    await agent.run("go")
    told = json.loads(telescope.attributes("agent run")["pydantic_ai.all_messages"])
    assert told[2]["parts"] == [{"type": "tool_call_response", "id": "c", "name": "look", "result": {"found": 1}}]


def test_what_a_user_shows_is_told_item_by_item() -> None:
    settings = InstrumentationSettings(version=1)
    events = settings.messages_to_otel_events([ModelRequest([UserPromptPart(FILES)])])
    assert [InstrumentedModel.event_to_dict(event) for event in events] == [
        {
            "event.name": "gen_ai.user.message",
            "gen_ai.message.index": 0,
            "role": "user",
            "content": [
                "look",
                {"kind": "image-url", "url": "https://example.org/cat.png"},
                {"kind": "binary", "media_type": "audio/wav", "binary_content": "c291bmQ="},
            ],
        }
    ]


async def test_settings_of_the_model_itself_are_told_too(telescope: Telescope) -> None:
    model = InstrumentedModel(TestModel(settings={"temperature": 0.25}), telescope.settings())
    await model_request(model, [ModelRequest.user_text_prompt("hi")])
    assert telescope.attributes("chat test")["gen_ai.request.temperature"] == 0.25
