"""Asking models without agents, and writing data for prompts."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum

import pytest
from pydantic import BaseModel, Field, computed_field

from app.ai.direct import model_request, model_request_stream, model_request_stream_sync, model_request_sync
from app.ai.format_prompt import format_as_xml
from app.ai.messages import ModelRequest
from app.ai.models.test import TestModel

MESSAGES = [ModelRequest.user_text_prompt("go")]
MODEL = TestModel(custom_output_text="one two")


async def test_a_model_is_asked_without_an_agent():
    assert (await model_request(MODEL, MESSAGES)).text == "one two"
    assert (await model_request("test", MESSAGES)).text == "success (no tool calls)"
    async with model_request_stream(MODEL, MESSAGES) as stream:
        kinds = [event.event_kind async for event in stream]
        assert stream.get().text == "one two"
    assert kinds[0] == "part_start" and kinds[-1] == "part_end"


def test_a_model_is_asked_without_async():
    assert model_request_sync(MODEL, MESSAGES).text == "one two"
    with model_request_stream_sync(MODEL, MESSAGES) as stream:
        assert [event.event_kind for event in stream][-1] == "part_end"
        assert stream.response.text == "one two" and stream.usage().output_tokens
        assert stream.model_name == "test" and stream.timestamp == stream.response.timestamp
    with pytest.raises(RuntimeError, match="Enter the stream"):
        model_request_stream_sync(MODEL, MESSAGES).get()


def test_a_request_without_an_agent_may_be_a_span():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from app.ai.instrumentation.settings import InstrumentationSettings

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    settings = InstrumentationSettings(tracer_provider=provider)
    assert model_request_sync(MODEL, MESSAGES, instrument=settings).text == "one two"
    model_request_sync(MODEL, MESSAGES, instrument=False)
    assert [span.name for span in exporter.get_finished_spans()] == ["chat test"]


class User(BaseModel):
    name: str = Field(title="Name", description="What to call them")
    age: int | None = None


@dataclass
class Pet:
    legs: int = field(metadata={"description": "How many"})


class Color(Enum):
    RED = "red"


def test_data_is_written_as_xml():
    assert format_as_xml({"name": "John", "height": 6}, root_tag="user") == (
        "<user>\n  <name>John</name>\n  <height>6</height>\n</user>"
    )
    assert format_as_xml({"a": True, "b": [1, None]}, indent=None) == (
        "<a>true</a><b><item>1</item><item>null</item></b>"
    )
    assert format_as_xml([User(name="A"), Pet(4)], none_str="?") == (
        "<User>\n  <name>A</name>\n  <age>?</age>\n</User>\n<Pet>\n  <legs>4</legs>\n</Pet>"
    )
    assert format_as_xml("a < b") == "<item>a &lt; b</item>"
    values = {1: b"x", "d": date(2026, 1, 2), "t": timedelta(hours=1), "c": Color.RED, "f": 1.5}
    assert format_as_xml(values, indent=None) == "<1>x</1><d>2026-01-02</d><t>1:00:00</t><c>red</c><f>1.5</f>"


def test_fields_are_described_everywhere_or_once():
    users = [User(name="A"), User(name="B")]
    described = '<name title="Name" description="What to call them">'
    assert format_as_xml(users, include_field_info=True).count(described) == 2
    assert format_as_xml(users, include_field_info="once").count(described) == 1
    assert '<legs description="How many">4' in format_as_xml(Pet(4), include_field_info=True)


def test_what_cannot_be_written_as_xml_is_refused():
    with pytest.raises(TypeError, match="cannot be written"):
        format_as_xml(object())
    with pytest.raises(TypeError, match="Keys"):
        format_as_xml({(1, 2): "x"})


def test_computed_fields_are_written_too():
    class Square(BaseModel):
        side: int

        @computed_field(title="Area")
        def area(self) -> int:
            return self.side**2

    assert format_as_xml(Square(side=2), indent=None) == "<side>2</side><area>4</area>"
    assert '<area title="Area">4</area>' in format_as_xml(Square(side=2), include_field_info=True)
