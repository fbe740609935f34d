"""`DBOSAgent`: an agent in DBOS workflows, without the service, on a real Postgres."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS, DBOSConfig, SetWorkflowID
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai import Agent, AgentSpec, InstrumentationSettings, RunContext
from app.ai.capabilities import Hooks, Toolset
from app.ai.deferred import DeferredToolRequests, DeferredToolResults
from app.ai.durable_exec.dbos import DBOSAgent, StepConfig
from app.ai.exceptions import UserError
from app.ai.mcp import MCPServerStdio
from app.ai.messages import (
    AgentStreamEvent,
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from app.ai.models.function import AgentInfo, FunctionModel
from app.ai.models.test import TestModel
from app.ai.usage import RunUsage
from app.db.engine import dbos_url
from app.durable.failures import Departure
from app.durable.serializer import HoldfastSerializer
from tests.durable.conftest import rows

QUEUE = "facade"
TAKE_OVER = "update dbos.workflow_status set status = 'ENQUEUED', owner_xid = null, queue_name = :queue"
STEPS = "select function_name from dbos.operation_outputs where workflow_uuid = :run order by function_id"
DEMO_SERVER = str(Path(__file__).parents[2] / "app/agents/demo/mcp_server.py")

effects: list[str] = []
interrupted: set[str] = set()


def interrupt_once(name: str) -> None:
    """Leave the workflow as a killed process would: nothing more is recorded."""
    if name not in interrupted:
        interrupted.add(name)
        raise Departure


@dataclass
class City:
    name: str
    people: int


class Traveller(BaseModel):
    home: str


def asks_tools(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    effects.append("asked")
    first = len(messages) == 1
    tools = [tool.name for tool in info.function_tools]
    if first and tools:
        return ModelResponse([ToolCallPart(name, {}) for name in tools])
    if info.output_tools:
        return ModelResponse([ToolCallPart(info.output_tools[0].name, {"name": "Oslo", "people": 700_000})])
    return ModelResponse([TextPart(f"done after {len(messages)}")])


async def streams(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    effects.append("streamed")
    yield "hello "
    yield "there"


plain = Agent(FunctionModel(asks_tools), name="facade_plain", deps_type=Traveller)


@plain.tool
@DBOS.step(name="note")
async def note(ctx: RunContext[Traveller]) -> str:
    effects.append(f"note for {ctx.deps.home}")
    return "noted"


@plain.tool_plain
async def pause() -> str:
    interrupt_once("pause")
    return "went on"


plain_durable = DBOSAgent(plain, parallel_execution_mode="sequential")

cities = DBOSAgent(Agent(FunctionModel(asks_tools), name="facade_cities", output_type=City))


def asks_server(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    if len(messages) == 1:
        return ModelResponse([ToolCallPart("say", {"text": "echoed"})])
    interrupt_once("after the call")
    return ModelResponse([TextPart(str(messages[2].parts[0].content))])  # pyright: ignore[reportAttributeAccessIssue]


server = MCPServerStdio(sys.executable, ["-P", DEMO_SERVER], id="demo")
renamed = server.prefixed("far").renamed({"say": "far_echo"})
remote = DBOSAgent(Agent(FunctionModel(asks_server), toolsets=[renamed]), name="facade_remote")


async def remember_events(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    async for event in events:
        effects.append(type(event).__name__)


streaming = DBOSAgent(
    Agent(FunctionModel(stream_function=streams), name="facade_streaming"), event_stream_handler=remember_events
)

tries: list[int] = []


def fails_twice(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    tries.append(1)
    if len(tries) < 3:
        raise OSError("no network")
    return ModelResponse([TextPart("at last")])


retrying = DBOSAgent(
    Agent(FunctionModel(fails_twice), name="facade_retrying"),
    model_step_config=StepConfig(retries_allowed=True, interval_seconds=0.01, max_attempts=3),
)


tooled = DBOSAgent(Agent(TestModel(), name="facade_tooled", tools=[pause]))


def asks_to_delete(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    effects.append("asked")
    if len(messages) == 1:
        return ModelResponse(
            [ToolCallPart("delete", {"path": "a"}, "first"), ToolCallPart("delete", {"path": "b"}, "second")]
        )
    return ModelResponse([TextPart(", ".join(str(part.content) for part in messages[-1].parts))])  # pyright: ignore


deleting = DBOSAgent(
    Agent(FunctionModel(asks_to_delete), name="facade_deleting", output_type=[str, DeferredToolRequests])
)


@deleting.wrapped.tool_plain(requires_approval=True)  # pyright: ignore[reportAttributeAccessIssue]
def delete(path: str) -> str:
    effects.append(f"deleted {path}")
    return f"{path} is gone"


@DBOS.workflow(name="facade.asking")
async def asking() -> str:
    first = await deleting.run("Tidy up")
    assert isinstance(first.output, DeferredToolRequests)
    await DBOS.set_event_async("open", [call.tool_call_id for call in first.output.approvals])
    answers = await DBOS.recv_async("answers", 10)
    second = await deleting.run(
        message_history=first.all_messages(), deferred_tool_results=DeferredToolResults(approvals=answers)
    )
    assert isinstance(second.output, str)
    return second.output


watched: list[str] = []
hooks = Hooks()


@hooks.on.model_request
async def watch(ctx: RunContext[Any], *, request_context: Any, handler: Any) -> ModelResponse:
    watched.append(f"request {ctx.run_step}")
    return await handler(request_context)


@hooks.on.run
async def watch_run(ctx: RunContext[Any], *, handler: Any) -> Any:
    watched.append("run")
    return await handler()


hooked = DBOSAgent(
    Agent(FunctionModel(asks_server), name="facade_hooked", capabilities=[hooks, Toolset(renamed)]),
)


@DBOS.workflow(name="facade.outer")
async def outer() -> str:
    return (await cities.run("Which city?")).output.name


@DBOS.workflow(name="facade.iterating")
async def iterating() -> list[str]:
    async with cities.iter("Which city?") as run:
        return [type(node).__name__ async for node in run]


@DBOS.workflow(name="facade.overriding")
async def overriding() -> str:
    with cities.override(model=TestModel()):
        return "not reached"


@DBOS.workflow(name="facade.streaming")
async def streaming_inside() -> str:
    async with streaming.run_stream("hi") as result:
        return await result.get_output()


@pytest.fixture(params=["json", "default"])
def serializer(request: pytest.FixtureRequest) -> Any:
    return HoldfastSerializer() if request.param == "json" else None


@pytest.fixture
async def dbos(database_url: str, serializer: Any) -> AsyncIterator[None]:
    effects.clear()
    interrupted.clear()
    tries.clear()
    config = DBOSConfig(
        name="holdfast",
        system_database_url=dbos_url(database_url),
        executor_id="here",
        application_version="1",
        serializer=serializer,
        run_migrations=False,
        log_level="ERROR",
        console_log_level="ERROR",
    )
    DBOS(config=config)
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    await DBOS.register_queue_async(QUEUE, polling_interval_sec=0.05, on_conflict="always_update")
    yield
    await asyncio.to_thread(DBOS.destroy)


async def steps(engine: AsyncEngine, run_id: str = "run") -> list[Any]:
    return [name for (name,) in await rows(engine, STEPS, run=run_id)]


async def take_over(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(text(TAKE_OVER), {"queue": QUEUE})


async def interrupted_run(agent: DBOSAgent[Any, Any], prompt: str, **options: Any) -> None:
    with SetWorkflowID("run"), pytest.raises(Departure):
        await agent.run(prompt, **options)


# --- capabilities, specs, people


async def test_hooks_of_a_recovered_run_see_the_same_course_again(dbos: None, engine: AsyncEngine) -> None:
    watched.clear()
    await interrupted_run(hooked, "say it")
    await take_over(engine)
    handle = await DBOS.retrieve_workflow_async("run")
    result = await handle.get_result()
    assert (result["output"] if isinstance(result, dict) else result.output) == "echoed"
    assert watched == ["run", "request 1", "request 2"] * 2
    assert await steps(engine) == [
        "facade_hooked__mcp_server__demo.get_tools",
        "facade_hooked__model.request",
        "facade_hooked__mcp_server__demo.call_tool",
        "facade_hooked__mcp_server__demo.get_tools",
        "facade_hooked__model.request",
    ]


async def test_the_spec_of_a_run_travels_with_it(dbos: None) -> None:
    for spec in ({"metadata": {"team": "sky"}}, AgentSpec(metadata={"team": "sky"})):
        assert (await cities.run("go", spec=spec)).metadata == {"team": "sky"}


async def test_a_person_approves_calls_between_two_runs_of_a_workflow(dbos: None) -> None:
    with SetWorkflowID("asks"):
        handle = await DBOS.start_workflow_async(asking)
    assert await DBOS.get_event_async("asks", "open", 10) == ["first", "second"]
    await DBOS.send_async("asks", {"first": True, "second": False}, "answers")
    assert await handle.get_result() == "a is gone, This tool call was denied."
    assert effects == ["asked", "deleted a", "asked"]


# --- runs as workflows


async def test_a_run_is_a_workflow_whose_model_requests_are_steps(dbos: None, engine: AsyncEngine) -> None:
    interrupted.add("pause")
    usage = RunUsage()
    with SetWorkflowID("run"):
        result = await plain_durable.run("go", deps=Traveller(home="Oslo"), usage=usage)
    assert result.output == "done after 3"
    assert result.run_id == "run"
    assert usage.requests == 2
    assert await rows(engine, "select name, status from dbos.workflow_status") == [("facade_plain.run", "SUCCESS")]
    assert await steps(engine) == [
        "facade_plain__model.request",
        "note",
        "facade_plain__model.request",
    ]


async def test_an_interrupted_run_goes_on_and_repeats_no_finished_step(dbos: None, engine: AsyncEngine) -> None:
    await interrupted_run(plain_durable, "go", deps=Traveller(home="Oslo"))
    assert effects == ["asked", "note for Oslo"]
    await take_over(engine)
    with SetWorkflowID("run"):
        result = await plain_durable.run("go", deps=Traveller(home="Oslo"))
    assert effects == ["asked", "note for Oslo", "asked"]
    assert result.output == "done after 3"
    assert [message.kind for message in result.all_messages()] == ["request", "response", "request", "response"]
    assert result.usage().requests == 2
    assert result.new_messages() == result.all_messages()


async def test_a_run_asked_for_again_under_its_id_gives_the_recorded_result(dbos: None) -> None:
    with SetWorkflowID("run"):
        first = await cities.run("Which city?")
    with SetWorkflowID("run"):
        again = await cities.run("Which city?")
    assert effects == ["asked"]
    assert again.output == City("Oslo", 700_000)
    assert again.all_messages() == first.all_messages()
    assert again.all_messages_json(output_tool_return_content="x") == first.all_messages_json(
        output_tool_return_content="x"
    )


async def test_a_run_inside_a_workflow_of_the_program_is_its_child(dbos: None, engine: AsyncEngine) -> None:
    with SetWorkflowID("run"):
        assert await outer() == "Oslo"
    assert await steps(engine, "run-1") == ["facade_cities__model.request"]


async def test_the_requests_of_iter_are_steps_of_the_program_s_workflow(dbos: None, engine: AsyncEngine) -> None:
    with SetWorkflowID("run"):
        assert await iterating() == ["UserPromptNode", "ModelRequestNode", "CallToolsNode", "End"]
    assert await steps(engine) == ["facade_cities__model.request"]


async def test_history_and_usage_travel_with_a_run(dbos: None, engine: AsyncEngine) -> None:
    first = await cities.run("Which city?")
    with SetWorkflowID("run"):
        second = await cities.run("And which other?", message_history=first.all_messages(), usage=first.usage())
    assert len(second.all_messages()) == 6
    assert second.usage().requests == 2
    assert second.conversation_id == first.conversation_id
    assert second.run_id != first.run_id


async def test_run_sync_is_a_workflow_of_its_own(dbos: None, engine: AsyncEngine) -> None:
    def run() -> str:
        with SetWorkflowID("run"):
            return cities.run_sync("Which city?").output.name

    assert await asyncio.to_thread(run) == "Oslo"
    assert await rows(engine, "select name, status from dbos.workflow_status") == [
        ("facade_cities.run_sync", "SUCCESS")
    ]
    assert await steps(engine) == ["facade_cities__model.request"]


async def test_a_failing_model_is_asked_again_as_the_step_config_says(dbos: None) -> None:
    assert (await retrying.run("go")).output == "at last"
    assert len(tries) == 3


# --- MCP servers


async def test_tools_of_a_server_are_listed_and_called_in_steps(dbos: None, engine: AsyncEngine) -> None:
    interrupted.add("after the call")
    with SetWorkflowID("run"):
        assert (await remote.run("say it")).output == "echoed"
    listing, request = "facade_remote__mcp_server__demo.get_tools", "facade_remote__model.request"
    call = "facade_remote__mcp_server__demo.call_tool"
    assert await steps(engine) == [listing, request, call, listing, request]


async def test_a_recovered_run_does_not_call_the_server_s_tool_again(
    dbos: None, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await interrupted_run(remote, "say it")
    await take_over(engine)

    def refuse(*args: Any) -> Any:
        raise AssertionError("the tool was called")

    monkeypatch.setattr(MCPServerStdio, "call_tool", refuse)
    with SetWorkflowID("run"):
        assert (await remote.run("say it")).output == "echoed"


# --- events


async def test_the_handler_sees_the_model_s_events_once_inside_the_step(dbos: None, engine: AsyncEngine) -> None:
    with SetWorkflowID("run"):
        result = await streaming.run("hi")
    assert result.output == "hello there"
    assert await steps(engine) == ["facade_streaming__model.request_stream"]
    once = list(effects)
    assert once.count("PartStartEvent") == 1
    with SetWorkflowID("run"):
        await streaming.run("hi")
    assert effects == once


async def test_a_handler_of_one_run_also_sees_its_tool_calls(dbos: None) -> None:
    interrupted.add("pause")
    await tooled.run("go", event_stream_handler=remember_events)
    assert [name for name in effects if name in ("PartStartEvent", "FunctionToolCallEvent")] == [
        "PartStartEvent",
        "FunctionToolCallEvent",
        "PartStartEvent",
    ]
    assert effects.count("FunctionToolResultEvent") == 1


# --- spans


async def test_a_replayed_request_makes_no_span(dbos: None, engine: AsyncEngine) -> None:
    spans = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    plain.instrument = InstrumentationSettings(tracer_provider=tracers)
    try:
        await interrupted_run(plain_durable, "go", deps=Traveller(home="Oslo"))
        spans.clear()
        await take_over(engine)
        with SetWorkflowID("run"):
            await plain_durable.run("go", deps=Traveller(home="Oslo"))
    finally:
        plain.instrument = None
    names = [span.name for span in spans.get_finished_spans()]
    assert len([name for name in names if name.startswith("chat ")]) == 1
    assert names[-1] == "agent run"


# --- plain use


async def test_the_wrapped_agent_stays_usable_without_a_workflow(dbos: None, engine: AsyncEngine) -> None:
    assert (await cities.wrapped.run("Which city?")).output == City("Oslo", 700_000)
    async with cities.iter("Which city?") as run:
        async for _ in run:
            pass
    assert run.result is not None and run.result.output.name == "Oslo"
    assert await rows(engine, "select name from dbos.workflow_status") == []


async def test_outside_a_workflow_run_stream_streams(dbos: None, engine: AsyncEngine) -> None:
    async with streaming.run_stream("hi") as result:
        assert [text async for text in result.stream_text(delta=True, debounce_by=None)] == ["hello ", "there"]
    assert await rows(engine, "select name from dbos.workflow_status") == []


async def test_run_stream_inside_a_workflow_is_refused(dbos: None) -> None:
    with pytest.raises(UserError, match="no `run_stream`; use `run`"):
        await streaming_inside()


async def test_overriding_the_model_inside_a_workflow_is_refused(dbos: None) -> None:
    with pytest.raises(Exception, match="model of a DBOSAgent cannot be overridden"):
        await overriding()
