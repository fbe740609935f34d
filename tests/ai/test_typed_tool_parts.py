"""Calls and answers of tools that have their own class of message parts."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter

from app.ai import Agent, FunctionToolCallEvent, FunctionToolResultEvent, FunctionToolset
from app.ai.messages import (
    AgentStreamEvent,
    LoadCapabilityCallPart,
    LoadCapabilityReturnPart,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    NativeToolCallPart,
    NativeToolReturnPart,
    NativeToolSearchCallPart,
    NativeToolSearchReturnPart,
    ToolCallPart,
    ToolCallPartDelta,
    ToolReturnPart,
    ToolSearchCallPart,
    ToolSearchReturnPart,
)
from tests.ai.scripted import call, scripted

FOUND = {"discovered_tools": [{"name": "payment", "description": None}]}


@pytest.mark.parametrize(
    ("plain", "typed"),
    [
        (ToolCallPart("search_tools", {}, "c", tool_kind="tool-search"), ToolSearchCallPart),
        (ToolCallPart("load_capability", {}, "c", tool_kind="capability-load"), LoadCapabilityCallPart),
        (ToolReturnPart("search_tools", FOUND, "c", tool_kind="tool-search"), ToolSearchReturnPart),
        (ToolReturnPart("load_capability", {}, "c", tool_kind="capability-load"), LoadCapabilityReturnPart),
        (NativeToolCallPart("tool_search", {}, "c", tool_kind="tool-search"), NativeToolSearchCallPart),
        (NativeToolReturnPart("tool_search", FOUND, "c", tool_kind="tool-search"), NativeToolSearchReturnPart),
        (ToolCallPart("t"), ToolCallPart),
        (ToolReturnPart("t", 1), ToolReturnPart),
        (NativeToolCallPart("t"), NativeToolCallPart),
        (NativeToolReturnPart("t", 1), NativeToolReturnPart),
    ],
)
def test_the_kind_of_a_tool_decides_the_class_of_its_parts(plain: Any, typed: type):
    narrowed = plain.narrow_type(plain)
    assert type(narrowed) is typed and vars(narrowed) == vars(plain) and narrowed == plain
    assert narrowed.narrow_type(narrowed) is narrowed

    message = ModelRequest([plain]) if isinstance(plain, ToolReturnPart) else ModelResponse([plain])
    stored = ModelMessagesTypeAdapter.dump_json([message])
    assert ModelMessagesTypeAdapter.validate_json(stored) == [replace(message, parts=[narrowed])]
    typed_stored = ModelMessagesTypeAdapter.dump_json([replace(message, parts=[narrowed])])
    assert typed_stored == stored


def test_typed_parts_know_the_names_of_their_tools():
    assert ToolSearchCallPart(args={"queries": ["a"]}).tool_name == "search_tools"
    assert ToolSearchReturnPart(content=FOUND).tool_kind == "tool-search"
    assert LoadCapabilityCallPart(args={"id": "x"}).tool_name == "load_capability"
    assert LoadCapabilityReturnPart(content={}).part_kind == "tool-return"


def test_a_typed_part_equals_the_plain_one_of_older_histories():
    plain = ToolCallPart("search_tools", {}, "c")
    assert ToolSearchCallPart(args={}, tool_call_id="c") == plain == ToolSearchCallPart(args={}, tool_call_id="c")
    assert ToolSearchCallPart(args={}, tool_call_id="d") != plain
    assert NativeToolSearchCallPart("search_tools", {}, "c") != plain


def test_a_delta_keeps_the_class_of_the_call():
    part = ToolSearchCallPart(args='{"queries"', tool_call_id="c")
    assert ToolCallPartDelta(args_delta=": []}").apply(part) == replace(part, args='{"queries": []}')


async def test_a_run_holds_searches_as_typed_parts():
    hidden = FunctionToolset[Any]()

    @hidden.tool_plain(defer_loading=True)
    def payment() -> str:
        return "paid"

    model, _ = scripted([call("search_tools", {"queries": ["payment"]}), call("payment")], "done")
    events: list[Any] = []

    async def watch(_: Any, stream: Any) -> None:
        events.extend([event async for event in stream])

    result = await Agent(model, toolsets=[hidden]).run("go", event_stream_handler=watch)
    _, response, answers, _ = result.all_messages()
    search, unknown = response.parts
    assert isinstance(search, ToolSearchCallPart) and type(unknown) is ToolCallPart
    found = ToolSearchReturnPart(content=FOUND, tool_call_id=search.tool_call_id, timestamp=answers.parts[0].timestamp)  # type: ignore[union-attr]
    assert answers.parts[0] == found

    told = [event for event in events if isinstance(event, FunctionToolCallEvent | FunctionToolResultEvent)]
    assert search in [event.part for event in told] and found in [event.part for event in told]
    adapter: TypeAdapter[Any] = TypeAdapter(list[AgentStreamEvent])
    assert adapter.validate_json(adapter.dump_json(told)) == told
