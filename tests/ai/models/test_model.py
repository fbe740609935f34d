"""What every model shares: preparing a request, being wrapped, being found, streaming in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from app.ai.exceptions import UserError
from app.ai.messages import (
    BinaryContent,
    FilePart,
    FinalResultEvent,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from app.ai.models import Model, ModelRequestParameters, StreamedResponse, infer_model
from app.ai.models.function import FunctionModel
from app.ai.models.test import TestModel
from app.ai.models.wrapper import CompletedStreamedResponse, WrapperModel
from app.ai.output_modes import OutputObjectDefinition
from app.ai.profiles import ModelProfile
from app.ai.settings import merge_model_settings
from app.ai.tools import ToolDefinition

FINISH = ToolDefinition(name="final_result", kind="output")
TOOL = ToolDefinition(name="t")
OBJECT = OutputObjectDefinition({"type": "object", "properties": {}}, name="thing", description="A thing")
EVERYTHING = ModelRequestParameters(output_tools=[FINISH], output_object=OBJECT, output_mode="auto")


def prepared(profile: ModelProfile, **fields: Any) -> ModelRequestParameters:
    given = {"output_tools": [FINISH], "output_object": OBJECT, **fields}
    return TestModel(profile=profile).prepare_request(None, ModelRequestParameters(**given))[1]


@pytest.mark.parametrize("native", [False, True])
def test_what_a_tool_returns_is_described_where_its_definition_has_no_place_for_it(native: bool):
    tool = ToolDefinition(name="t", description="Ask.", return_schema={"type": "integer"}, include_return_schema=True)
    model = TestModel(profile=ModelProfile(supports_tool_return_schema=native))
    parameters = ModelRequestParameters(function_tools=[tool])
    for _ in range(2):
        _, parameters = model.prepare_request(None, parameters)
    [prepared] = parameters.function_tools
    described = 'Ask.\n\nReturns:\n\n{\n  "type": "integer"\n}'
    assert (prepared.description, prepared.return_schema) == ("Ask." if native else described, {"type": "integer"})


def test_the_models_own_settings_are_the_lowest_layer():
    model = TestModel(settings={"temperature": 0.1, "seed": 1})
    settings, _ = model.prepare_request({"temperature": 0.9}, ModelRequestParameters())
    assert settings == {"temperature": 0.9, "seed": 1}
    assert merge_model_settings(None, None) is None


@pytest.mark.parametrize(("mode", "allows_text"), [("tool", False), ("native", True), ("prompted", True)])
def test_auto_becomes_the_mode_that_the_profile_prefers(mode: Any, allows_text: bool):
    profile = ModelProfile(default_structured_output_mode=mode, supports_json_schema_output=True)
    parameters = prepared(profile, output_mode="auto")
    assert (parameters.output_mode, parameters.allow_text_output) == (mode, allows_text)
    assert bool(parameters.output_tools) == (mode == "tool")
    assert (parameters.output_object is None) == (mode == "tool")


def test_text_mode_drops_what_only_structured_output_needs():
    parameters = prepared(ModelProfile(), output_mode="text")
    assert (parameters.output_tools, parameters.output_object) == ([], None)


def test_prompted_mode_takes_the_profiles_template_unless_it_has_its_own():
    profile = ModelProfile(prompted_output_template="As {schema}.")
    instructions = prepared(profile, output_mode="prompted").prompted_output_instructions
    assert instructions == 'As {"type": "object", "properties": {}, "title": "thing", "description": "A thing"}.'
    own = prepared(profile, output_mode="prompted", prompted_output_template="JSON, please.")
    assert own.prompted_output_instructions
    assert own.prompted_output_instructions.startswith("JSON, please.\n\n{")
    assert (
        prepared(profile, output_mode="prompted", prompted_output_template=False).prompted_output_instructions is None
    )


def test_preparing_twice_changes_nothing_more():
    model = TestModel(settings={"seed": 1})
    once = model.prepare_request({"thinking": True}, EVERYTHING)
    assert model.prepare_request(*once) == once


@pytest.mark.parametrize(
    ("profile", "fields", "what"),
    [
        (ModelProfile(), {"output_mode": "native"}, "native structured output"),
        (ModelProfile(supports_tools=False), {"output_mode": "tool"}, "tool output"),
        (ModelProfile(supports_tools=False), {"function_tools": [TOOL]}, "tools"),
        (ModelProfile(), {"allow_image_output": True}, "image output"),
    ],
)
def test_what_the_model_cannot_do_is_refused(profile: ModelProfile, fields: dict[str, Any], what: str):
    with pytest.raises(UserError, match=f"does not support {what}"):
        prepared(profile, **fields)


@pytest.mark.parametrize(
    ("profile", "given", "resolved"),
    [
        (ModelProfile(supports_thinking=True), "high", "high"),
        (ModelProfile(supports_thinking=True), False, False),
        (ModelProfile(supports_thinking=True, thinking_always_enabled=True), False, None),
        (ModelProfile(), True, None),
    ],
)
def test_thinking_moves_from_the_settings_to_the_parameters(profile: ModelProfile, given: Any, resolved: Any):
    settings, parameters = TestModel(profile=profile).prepare_request({"thinking": given}, ModelRequestParameters())
    assert settings is None
    assert parameters.thinking == resolved


def test_instructions_are_those_of_the_newest_request_or_of_the_parameters():
    history = [ModelRequest([], instructions="old"), ModelResponse([]), ModelRequest([], instructions="new")]
    assert Model.get_instructions(history, ModelRequestParameters()) == "new"
    parameters = ModelRequestParameters(instruction_parts=[InstructionPart("given")])
    assert Model.get_instructions(history, parameters) == "given"


def test_a_model_is_found_by_its_name():
    assert isinstance(infer_model("test"), TestModel)
    model = TestModel()
    assert infer_model(model) is model
    wrong: list[tuple[Any, str]] = [
        ("mystery-5", "Unknown model: 'mystery-5'"),
        ("openai:", "provider:name"),
        ("nosuch:x", "nosuch"),
        (5, "got 5"),
    ]
    for name, complaint in wrong:
        with pytest.raises(UserError, match=complaint):
            infer_model(name)


def test_a_well_known_name_finds_its_provider_with_a_warning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key")
    with pytest.warns(DeprecationWarning, match="anthropic:claude-sonnet-4-5"):
        model = infer_model("claude-sonnet-4-5")
    assert model.model_id == "anthropic:claude-sonnet-4-5"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("gpt-5", "GPT 5"),
        ("claude-sonnet-4-5", "Claude Sonnet 4.5"),
        ("claude-haiku-4-5-20251001", "Claude Haiku 4.5 20251001"),
        ("gemini-2.5-pro", "Gemini 2.5 Pro"),
        ("meta-llama/llama-3-70b", "Llama 3 70b"),
    ],
)
def test_the_label_of_a_model_reads_well(name: str, label: str):
    assert TestModel(model_name=name).label == label


def test_a_profile_updates_another_by_what_it_sets():
    profile = ModelProfile(supports_thinking=True).update(ModelProfile(thinking_tags=("<a>", "</a>")))
    assert (profile.supports_thinking, profile.thinking_tags) == (True, ("<a>", "</a>"))
    assert profile.update(None) is profile
    by_name = TestModel(profile=lambda name: ModelProfile(supports_thinking=name == "test"))
    assert by_name.profile.supports_thinking


async def test_a_wrapper_is_like_the_model_inside():
    inner = TestModel(custom_output_text="Hi", settings={"seed": 1})
    model = WrapperModel(inner)
    assert (model.model_name, model.system, model.settings) == ("test", "test", {"seed": 1})
    assert (model.profile, model.base_url, model.model_id, model.label) == (inner.profile, None, "test:test", "Test")
    assert model.custom_output_text == "Hi"
    history: list[ModelMessage] = [ModelRequest.user_text_prompt("Hello")]
    assert model.prepare_messages(history) is history
    async with model:
        response = await model.request(history, None, ModelRequestParameters())
        async with model.request_stream(history, None, ModelRequestParameters()) as stream:
            assert [event async for event in stream]
    assert response.text == stream.get().text == "Hi"
    with pytest.raises(NotImplementedError, match="TestModel"):
        await model.count_tokens(history, None, ModelRequestParameters())


async def test_a_model_without_streaming_says_so():
    class Mute(TestModel):
        request_stream = Model.request_stream

    with pytest.raises(NotImplementedError, match="Mute does not stream"):
        async with Mute().request_stream([], None, ModelRequestParameters()):
            pass


async def test_a_completed_response_streams_nothing_and_is_there():
    response = ModelResponse([TextPart("Hi")], model_name="m", provider_name="p", provider_url="u")
    stream = CompletedStreamedResponse(ModelRequestParameters(), response)
    assert [event async for event in stream] == []
    assert stream.get() is response
    assert stream.usage() is response.usage
    assert (stream.model_name, stream.provider_name, stream.provider_url) == ("m", "p", "u")
    assert stream.timestamp == response.timestamp


# Streaming


@dataclass
class _Prepared(StreamedResponse):
    """Streams prepared whole parts."""

    parts: list[ModelResponsePart] = field(default_factory=list)

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for index, part in enumerate(self.parts):
            for event in self._parts_manager.handle_part(vendor_part_id=index, part=part):
                yield event

    @property
    def model_name(self) -> str:
        return "prepared"

    @property
    def provider_name(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


IMAGE = FilePart(BinaryContent(b"", media_type="image/png"))


async def test_parts_start_and_end_in_order_and_know_their_neighbours():
    parts = [ThinkingPart("hm"), IMAGE, TextPart("a"), ToolCallPart("t")]
    stream = _Prepared(ModelRequestParameters(function_tools=[TOOL]), parts)
    assert stream.get().state == "incomplete"
    events = [event async for event in stream]
    assert events == [
        PartStartEvent(index=0, part=parts[0]),
        PartEndEvent(index=0, part=parts[0], next_part_kind="file"),
        PartStartEvent(index=1, part=parts[1], previous_part_kind="thinking"),
        PartStartEvent(index=2, part=parts[2], previous_part_kind="file"),
        FinalResultEvent(tool_name=None, tool_call_id=None),
        PartEndEvent(index=2, part=parts[2], next_part_kind="tool-call"),
        PartStartEvent(index=3, part=parts[3], previous_part_kind="text"),
        PartEndEvent(index=3, part=parts[3]),
    ]
    assert stream.get().state == "complete"
    assert stream.get().parts == parts


@pytest.mark.parametrize(
    ("part", "parameters", "final"),
    [
        (TextPart("a"), ModelRequestParameters(), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (TextPart("a"), ModelRequestParameters(allow_text_output=False), None),
        (
            ToolCallPart("final_result", {}, "c"),
            ModelRequestParameters(output_tools=[FINISH]),
            FinalResultEvent(tool_name="final_result", tool_call_id="c"),
        ),
        (
            ToolCallPart("later", {}, "c"),
            ModelRequestParameters(function_tools=[ToolDefinition(name="later", kind="external")]),
            FinalResultEvent(tool_name=None, tool_call_id=None),
        ),
        (ToolCallPart("t", {}, "c"), ModelRequestParameters(function_tools=[TOOL]), None),
        (ToolCallPart("nosuch", {}, "c"), ModelRequestParameters(), None),
        (IMAGE, ModelRequestParameters(allow_image_output=True), FinalResultEvent(tool_name=None, tool_call_id=None)),
        (IMAGE, ModelRequestParameters(), None),
        (ThinkingPart("hm"), ModelRequestParameters(), None),
    ],
)
async def test_the_final_result_is_announced_once_and_right_away(
    part: ModelResponsePart, parameters: ModelRequestParameters, final: FinalResultEvent | None
):
    stream = _Prepared(parameters, [part, part])
    events = [event async for event in stream]
    assert [event for event in events if isinstance(event, FinalResultEvent)] == ([final] if final else [])
    assert stream.final_result_event == final
    if final:
        assert events[1] == final


async def test_iterating_again_goes_on_where_it_stopped():
    stream = _Prepared(ModelRequestParameters(), [TextPart("a")])
    async for event in stream:
        assert isinstance(event, PartStartEvent)
        break
    assert [type(event) async for event in stream] == [FinalResultEvent, PartEndEvent]


async def test_a_cancelled_stream_ends_quietly_even_if_its_connection_breaks():
    async def pieces(messages: Any, info: Any) -> AsyncIterator[str]:
        yield "a"
        raise ConnectionError("closed")

    async with FunctionModel(stream_function=pieces).request_stream([], None, ModelRequestParameters()) as stream:
        async for _ in stream:
            await stream.cancel()
            await stream.cancel()
        assert stream.cancelled
        assert (stream.get().parts, stream.get().state) == ([TextPart("a")], "interrupted")


async def test_a_stream_that_breaks_by_itself_raises():
    async def pieces(messages: Any, info: Any) -> AsyncIterator[str]:
        yield "a"
        raise ConnectionError("broken")

    async with FunctionModel(stream_function=pieces).request_stream([], None, ModelRequestParameters()) as stream:
        with pytest.raises(ConnectionError):
            async for _ in stream:
                pass
        assert stream.get().state == "incomplete"
