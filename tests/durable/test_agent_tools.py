"""The tools of a `DBOSAgent`: several calls at once, servers that a function chooses, what travels with a run."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.ai import Agent, RunContext
from app.ai.agent import WrapperAgent
from app.ai.capabilities import Instrumentation
from app.ai.deferred import DeferredToolRequests, DeferredToolResults
from app.ai.durable_exec.dbos import DBOSAgent, DBOSMCPServer
from app.ai.exceptions import ModelHTTPError, UserError
from app.ai.mcp import MCPServer, MCPServerStdio
from app.ai.messages import (
    AgentStreamEvent,
    FunctionToolResultEvent,
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from app.ai.models.function import AgentInfo, DeltaToolCall, DeltaToolCalls, FunctionModel
from app.ai.models.test import TestModel
from app.ai.run import AgentRunResult
from app.ai.toolsets import AbstractToolset, FunctionToolset
from app.db.engine import dbos_url
from app.durable.failures import Departure
from app.durable.serializer import HoldfastSerializer
from tests.ai.scripted import call
from tests.ai.telescope import Telescope
from tests.durable.conftest import rows
from tests.durable.test_agent import DEMO_SERVER

QUEUE = "facade_tools"
TAKE_OVER = "update dbos.workflow_status set status = 'ENQUEUED', owner_xid = null, queue_name = :queue"
STEPS = "select function_name from dbos.operation_outputs where workflow_uuid = :run order by function_id"

effects: list[Any] = []
interruptions: list[str] = []


def calls(*wanted: Any) -> FunctionModel:
    """A model that makes these calls, and says what came of them."""

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        if len(messages) == 1:
            return ModelResponse(list(wanted))
        return ModelResponse([TextPart(", ".join(str(part.content) for part in messages[-1].parts))])  # pyright: ignore

    async def stream(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str | DeltaToolCalls]:
        for index, part in enumerate(answer(messages, info).parts):
            if isinstance(part, ToolCallPart):
                yield {index: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}
            elif isinstance(part, TextPart):
                yield part.content

    return FunctionModel(answer, stream_function=stream)


async def remember_results(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    effects.extend([event.tool_call_id async for event in events if isinstance(event, FunctionToolResultEvent)])


def agent_of(name: str, model: FunctionModel, *tools: Any, **options: Any) -> DBOSAgent[Any, Any]:
    return DBOSAgent(Agent(model, name=name, tools=tools), **options)


# --- agents, made before the launch as DBOS wants it


barriers: list[asyncio.Barrier] = []


@DBOS.step(name="meet")
async def meet(of: str) -> str:
    """Ends once all three are there."""
    await barriers[0].wait()
    effects.append("met")
    return of


@DBOS.step(name="slow")
async def slow(of: str) -> str:
    effects.append(f"slow {of}")
    await asyncio.sleep(0)
    effects.append(f"end {of}")
    return of


@DBOS.step(name="in_thread")
def in_thread(of: str) -> str:
    effects.append(f"thread {of}")
    return of


def leave_once(of: str) -> str:
    if not interruptions:
        interruptions.append(of)
        raise Departure
    return of


THREE = [call("slow", {"of": of}, of) for of in "abc"]
parallel = agent_of("tools_parallel", calls(*[call("meet", {"of": of}, of) for of in "abc"]), meet)
sequential = agent_of("tools_sequential", calls(*THREE), slow, parallel_execution_mode="sequential")
threaded = agent_of(
    "tools_threaded", calls(call("slow", {"of": "a"}, "a"), call("in_thread", {"of": "b"}, "b")), slow, in_thread
)
leaving = agent_of(
    "tools_leaving",
    calls(*THREE[1:], call("leave_once", {"of": "d"}, "d")),
    slow,
    leave_once,
    parallel_execution_mode="sequential",
)

connected: list[MCPServer] = []


class CountedServer(MCPServerStdio):
    def transport(self) -> Any:
        connected.append(self)
        return super().transport()


chosen = CountedServer(sys.executable, ["-P", DEMO_SERVER], id="chosen")
choosing = Agent(calls(call("echo", {"text": "echoed"}, "a")), name="tools_choosing")


@choosing.toolset
async def choose(ctx: RunContext[Any]) -> AbstractToolset[Any] | None:
    return chosen


choosing_durable = DBOSAgent(choosing)

nameless = Agent(calls(), name="tools_nameless")


@nameless.toolset
def choose_nameless(ctx: RunContext[Any]) -> AbstractToolset[Any]:
    return MCPServerStdio(sys.executable, ["-P", DEMO_SERVER])


nameless_durable = DBOSAgent(nameless)


@dataclass
class Town:
    name: str


@dataclass
class Port(Town):
    ships: int


def look(ctx: RunContext[Town]) -> str:
    leave_once("look")
    return repr(ctx.deps)


looking = DBOSAgent(Agent(calls(call("look", {}, "a")), name="tools_looking", deps_type=Town, tools=[look]))
untyped = DBOSAgent(Agent(calls(call("look", {}, "a")), name="tools_untyped", tools=[look]))


@DBOS.step(name="handle")
async def handle(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
    effects.extend([event.event_kind async for event in events if event.event_kind.startswith("function_tool")])


handled = agent_of("tools_handled", calls(*THREE[1:]), slow, event_stream_handler=handle)
doubling = DBOSAgent(Agent(calls(call("double", {"x": 21}, "a")), name="tools_doubling"))
telescopes: list[Telescope] = []


class Told(Instrumentation[Any]):
    def __init__(self, telescope: Telescope):
        super().__init__(telescope.settings())
        telescopes.append(telescope)

    def __reduce__(self) -> Any:
        return lens, ()


def lens() -> Told:
    return Told(Telescope())


enclosed = DBOSAgent(WrapperAgent(Agent(TestModel(), name="tools_enclosed")))
typed_output = DBOSAgent(Agent(TestModel(custom_output_args={"name": "Oslo"}), name="tools_typed", output_type=Town))


def refuses(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    effects.append("asked")
    raise ModelHTTPError(503, "function", {"why": "busy"})


refused = DBOSAgent(Agent(FunctionModel(refuses), name="tools_refused"))

tidying = Agent(
    calls(call("delete", {"path": "a"}, "a")), name="tools_tidying", output_type=[str, DeferredToolRequests]
)


@tidying.tool_plain(requires_approval=True)
def delete(path: str) -> str:
    return f"{path} is gone"


tidying_durable = DBOSAgent(tidying)


@DBOS.workflow(name="facade.tidying")
async def tidy(prompt: str) -> AgentRunResult[Any]:
    result = await tidying_durable.run(prompt)
    while isinstance(result.output, DeferredToolRequests):
        await DBOS.set_event_async("open", result.output)
        answers = await DBOS.recv_async("answers", 10)
        result = await tidying_durable.run(message_history=result.all_messages(), deferred_tool_results=answers)
    return result


# --- the engine


async def launched(database_url: str, serializer: Any) -> AsyncIterator[None]:
    for seen in (effects, interruptions, connected):
        seen.clear()
    DBOS(
        config=DBOSConfig(
            name="holdfast",
            system_database_url=dbos_url(database_url),
            executor_id="here",
            application_version="1",
            serializer=serializer,
            run_migrations=False,
            log_level="ERROR",
            console_log_level="ERROR",
        )
    )
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    await DBOS.register_queue_async(QUEUE, polling_interval_sec=0.05, on_conflict="always_update")
    yield
    await asyncio.to_thread(DBOS.destroy)


@pytest.fixture
async def dbos(database_url: str) -> AsyncIterator[None]:
    async for _ in launched(database_url, None):
        yield


@pytest.fixture
async def dbos_with_json(database_url: str) -> AsyncIterator[None]:
    async for _ in launched(database_url, HoldfastSerializer()):
        yield


async def steps(engine: AsyncEngine) -> list[Any]:
    return [name for (name,) in await rows(engine, STEPS, run="run")]


async def run_until_it_leaves(agent: DBOSAgent[Any, Any], engine: AsyncEngine, **options: Any) -> None:
    with SetWorkflowID("run"), pytest.raises(Departure):
        await agent.run("go", **options)
    async with engine.begin() as connection:
        await connection.execute(text(TAKE_OVER), {"queue": QUEUE})


async def recovered() -> Any:
    return await (await DBOS.retrieve_workflow_async("run")).get_result()


# --- several calls at once


async def test_calls_run_at_once_and_are_told_and_numbered_in_their_order(dbos: None, engine: AsyncEngine) -> None:
    barriers[:] = [asyncio.Barrier(3)]
    with SetWorkflowID("run"):
        result = await parallel.run("go", event_stream_handler=remember_results)
    assert result.output == "a, b, c"
    assert effects == ["met", "met", "met", "a", "b", "c"]
    # Whose result is whose is known by the number alone.
    forked = await DBOS.fork_workflow_async("run", 5)
    assert (await forked.get_result()).output == "a, b, c"
    assert effects.count("met") == 3


async def test_calls_may_be_told_to_wait_for_each_other(dbos: None) -> None:
    await sequential.run("go")
    assert effects == ["slow a", "end a", "slow b", "end b", "slow c", "end c"]


async def test_a_step_in_a_thread_runs_alone(dbos: None, engine: AsyncEngine) -> None:
    with SetWorkflowID("run"):
        await threaded.run("go")
    assert effects == ["slow a", "end a", "thread b"]
    assert (await steps(engine))[1:3] == ["slow", "in_thread"]


async def test_finished_calls_of_a_batch_are_not_made_again(dbos: None, engine: AsyncEngine) -> None:
    await run_until_it_leaves(leaving, engine)
    assert (await recovered()).output == "b, c, d"
    assert effects == ["slow b", "end b", "slow c", "end c"]


def test_how_calls_run_has_a_default_that_is_published() -> None:
    mode = inspect.signature(DBOSAgent.__init__).parameters["parallel_execution_mode"]
    assert mode.default == "parallel_ordered_events"


# --- servers


async def test_a_server_that_a_function_chooses_is_asked_in_steps(dbos: None, engine: AsyncEngine) -> None:
    with SetWorkflowID("run"):
        assert (await choosing_durable.run("go")).output == "echoed"
    prefix = "tools_choosing__mcp_server__chosen"
    request = "tools_choosing__model.request"
    assert await steps(engine) == [
        f"{prefix}.get_tools",
        request,
        f"{prefix}.call_tool",
        f"{prefix}.get_tools",
        request,
    ]
    assert connected == [chosen]


async def test_spans_tell_the_step_and_whether_it_was_replayed(dbos: None) -> None:
    telescope = Telescope()
    choosing.instrument = telescope.settings()

    def told() -> list[tuple[Any, ...]]:
        spans = telescope.exporter.get_finished_spans()
        telescope.exporter.clear()
        marks = ("holdfast.step", "holdfast.attempt", "holdfast.replayed")
        return [(span.name.partition(":")[0], *((span.attributes or {}).get(mark) for mark in marks)) for span in spans]

    try:
        with SetWorkflowID("run"):
            await choosing_durable.run("go")
        chat = "chat function"
        run = ("agent run", None, None, None)
        assert told() == [(chat, 2, 1, None), ("running tool", 3, 1, False), (chat, 5, 1, None), run]
        await (await DBOS.fork_workflow_async("run", 5)).get_result()
        assert told() == [("running tool", 3, None, True), (chat, 5, 1, None), run]
    finally:
        choosing.instrument = None


async def test_replayed_requests_make_no_span_inside_another_wrapper_or_for_one_run(dbos: None) -> None:
    telescope = Telescope()
    with SetWorkflowID("run"):
        await enclosed.run("go", capabilities=[Told(telescope)])
    assert telescope.spans.keys() == {"agent run", "chat test"}
    telescopes.clear()
    await (await DBOS.fork_workflow_async("run", 2)).get_result()
    assert {name for restored in telescopes for name in restored.spans} == {"agent run"}


async def test_a_chosen_server_without_an_id_is_refused(dbos: None) -> None:
    with pytest.raises(UserError, match="needs an `id`"):
        await nameless_durable.run("go")


def test_a_recorded_server_stays_what_it_is() -> None:
    server = DBOSMCPServer(chosen, step_name_prefix="tools")
    assert server.visit_and_replace(lambda toolset: FunctionToolset()) is server
    agent = DBOSAgent(Agent("test", name="tools_recorded", toolsets=[chosen, FunctionToolset()]))
    assert isinstance(agent.toolsets[1], DBOSMCPServer) and agent.toolsets[1].wrapped is chosen
    assert all(one is other for one, other in zip(agent.toolsets, agent.toolsets, strict=True))


# --- what travels


def double(x: int) -> int:
    leave_once("double")
    return 2 * x


async def test_toolsets_for_one_run_are_known_to_its_recovery(dbos: None, engine: AsyncEngine) -> None:
    await run_until_it_leaves(doubling, engine, toolsets=[FunctionToolset([double])])
    assert (await recovered()).output == "42"


async def test_toolsets_that_a_recovery_would_not_know_are_refused(dbos: None) -> None:
    with pytest.raises(UserError, match="give them to the wrapped agent"):
        await doubling.run("go", toolsets=[FunctionToolset([lambda: 1])])
    with pytest.raises(UserError, match="with their secrets"):
        await doubling.run("go", toolsets=[chosen.prefixed("far")])


async def test_json_knows_no_toolsets_of_one_run(dbos_with_json: None) -> None:
    with pytest.raises(UserError, match="give them to the wrapped agent"):
        await doubling.run("go", toolsets=[FunctionToolset([double])])


async def test_a_handler_of_one_run_reads_on_after_its_recovery(dbos: None, engine: AsyncEngine) -> None:
    await run_until_it_leaves(looking, engine, deps=Town("Oslo"), event_stream_handler=remember_results)
    assert (await recovered()).output == "Town(name='Oslo')"
    assert effects == ["a"]
    assert await steps(engine) == ["tools_looking__model.request_stream"] * 2


async def test_with_json_a_handler_follows_this_call_only(dbos_with_json: None) -> None:
    seen: list[str] = []

    async def keep(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None:
        seen.extend([event.event_kind async for event in events])

    await typed_output.run("go", event_stream_handler=keep)
    assert seen[0] == "part_start"


async def test_a_handler_may_be_a_step_for_each_event_of_the_workflow(dbos: None, engine: AsyncEngine) -> None:
    with SetWorkflowID("run"):
        await handled.run("go")
    assert await steps(engine) == [
        "tools_handled__model.request_stream",
        "handle",
        "handle",
        "slow",
        "slow",
        "handle",
        "handle",
        "tools_handled__model.request_stream",
    ]
    assert effects[:2] == ["function_tool_call", "function_tool_call"]
    assert effects[-2:] == ["function_tool_result", "function_tool_result"]


async def test_a_handler_that_a_recovery_could_not_find_is_refused(dbos: None) -> None:
    async def keep(ctx: RunContext[Any], events: AsyncIterable[AgentStreamEvent]) -> None: ...

    with pytest.raises(UserError, match="a function of a module"):
        await typed_output.run("go", event_stream_handler=keep)


@pytest.mark.parametrize(
    ("agent", "deps"), [(looking, Port("Oslo", 3)), (untyped, Town("Bergen")), (looking, Town("B"))]
)
async def test_a_recovered_run_has_the_dependencies_that_were_given(
    dbos: None, engine: AsyncEngine, agent: DBOSAgent[Any, Any], deps: Town
) -> None:
    await run_until_it_leaves(agent, engine, deps=deps)
    assert (await recovered()).output == repr(deps)


async def test_dependencies_that_cannot_be_stored_stop_the_run_at_once(dbos: None) -> None:
    unstorable: Any = (number for number in ())
    with pytest.raises(TypeError, match="pickle"):
        await untyped.run("go", deps=unstorable)
    assert effects == []


async def test_the_stored_result_of_a_run_is_its_result(dbos: None) -> None:
    with SetWorkflowID("run"):
        result = await typed_output.run("go")
    stored = await recovered()
    assert isinstance(stored, AgentRunResult)
    assert (stored.output, stored.run_id, stored.usage()) == (Town("Oslo"), "run", result.usage())
    assert stored.all_messages() == result.all_messages()


async def test_a_json_serializer_stores_a_result_as_data(dbos_with_json: None) -> None:
    with SetWorkflowID("run"):
        await typed_output.run("go")
    assert (await recovered())["output"] == {"name": "Oslo"}


async def test_an_error_of_the_model_keeps_its_type(dbos: None) -> None:
    for _ in range(2):
        with SetWorkflowID("run"), pytest.raises(ModelHTTPError) as caught:
            await refused.run("go")
        assert (caught.value.status_code, caught.value.body) == (503, {"why": "busy"})
    assert effects == ["asked"]


async def test_requests_answers_and_results_travel_between_workflows(dbos: None) -> None:
    handle = await DBOS.start_workflow_async(tidy, "Tidy up")
    requests = await DBOS.get_event_async(handle.workflow_id, "open", 10)
    assert isinstance(requests, DeferredToolRequests)
    answers = DeferredToolResults(approvals={item.tool_call_id: True for item in requests.approvals})
    await DBOS.send_async(handle.workflow_id, answers, "answers")
    assert (await handle.get_result()).output == "a is gone"
