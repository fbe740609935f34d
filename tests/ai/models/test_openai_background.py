"""Responses made in the background: an answer outlives the connection and the process that asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from app.ai.exceptions import ModelAPIError
from app.ai.messages import ModelRequest, ModelResponse, TextPart
from app.ai.models.handles import RequestHandles, use_handles
from app.ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from app.ai.settings import ModelSettings
from tests.ai.models.apis import HELLO, NOTHING, RESPONSES
from tests.ai.models.chat_server import Answer, as_json
from tests.ai.models.test_openai_responses import event_stream, events_of, message

EVENTS = events_of([message("Hello")])
WHOLE = event_stream(*EVENTS)
BACKGROUND = cast("ModelSettings", OpenAIResponsesModelSettings(openai_background=True))


def first(amount: int, **options: Any) -> Answer:
    """A connection that is lost after some events."""
    return event_stream(*EVENTS[:amount], cut=True, **options)


def rest(after: int) -> Answer:
    answer = event_stream(*EVENTS)
    pieces = answer.body.split(b"\n\n")
    return Answer(b"\n\n".join(pieces[after:]), content_type="text/event-stream")


class KeptHandles(RequestHandles):
    """Handles that another attempt finds."""

    def __init__(self, *, given_up: bool = False) -> None:
        self.kept: Mapping[str, Any] | None = None
        self.abandoned = given_up

    async def recall(self) -> Mapping[str, Any] | None:
        return self.kept

    async def keep(self, handle: Mapping[str, Any]) -> None:
        self.kept = handle

    async def given_up(self) -> bool:
        return self.abandoned


async def streamed(model: OpenAIResponsesModel, text: str = "Hello") -> ModelResponse:
    async with model.request_stream([ModelRequest.user_text_prompt(text)], BACKGROUND, NOTHING) as stream:
        async for _ in stream:
            pass
        return stream.get()


async def test_the_answer_is_made_in_the_background_and_stored():
    async with RESPONSES.model_with(WHOLE) as (model, server):
        answer = await model.request(HELLO, BACKGROUND, NOTHING)
    assert answer.text == "Hello"
    [asked] = server.requests
    assert (asked["background"], asked["store"], asked["stream"]) == (True, True, True)


@pytest.mark.parametrize("seen", [1, 3, len(EVENTS) - 1])
async def test_a_lost_connection_is_opened_again_after_the_last_event(seen: int):
    async with RESPONSES.model_with(first(seen), rest(seen)) as (model, server):
        answer = await streamed(model)
    assert server.targets == ["/v1/responses", f"/v1/responses/resp_1?stream=true&starting_after={seen - 1}"]
    assert [part.content for part in answer.parts if isinstance(part, TextPart)] == ["Hello"]
    assert (answer.finish_reason, answer.usage.output_tokens, answer.state) == ("stop", 5, "complete")


async def test_a_connection_that_is_lost_without_any_progress_is_given_up_for_now():
    async with RESPONSES.model_with(first(3), Answer(b"", content_type="text/event-stream", cut=True)) as (
        model,
        server,
    ):
        with use_handles(KeptHandles()), pytest.raises(ModelAPIError) as lost:
            await streamed(model)
    assert lost.value.retry_at is not None
    assert [target for target in server.targets if "cancel" in target] == []
    assert len(server.targets) == 4


async def test_another_attempt_reads_the_same_answer():
    handles = KeptHandles()
    async with RESPONSES.model_with(first(3), as_json({}, 400), WHOLE) as (model, server):
        with use_handles(handles):
            with pytest.raises(ModelAPIError):
                await streamed(model)
            answer = await streamed(model)
    assert answer.text == "Hello"
    assert server.targets[2] == "/v1/responses/resp_1?stream=true"
    assert handles.kept is not None
    assert handles.kept["response_id"] == "resp_1"


async def test_an_answer_to_another_question_is_not_taken():
    with use_handles(KeptHandles()):
        async with RESPONSES.model_with(WHOLE, WHOLE) as (model, server):
            await streamed(model)
            await streamed(model, "Something else")
    assert server.targets == ["/v1/responses", "/v1/responses"]


async def test_a_response_that_is_gone_is_asked_for_anew():
    with use_handles(KeptHandles()):
        async with RESPONSES.model_with(WHOLE, as_json({"error": {"message": "gone"}}, 404), WHOLE) as (model, server):
            await streamed(model)
            answer = await streamed(model)
    assert answer.text == "Hello"
    assert server.targets == ["/v1/responses", "/v1/responses/resp_1?stream=true", "/v1/responses"]


@pytest.mark.parametrize("given_up", [True, False])
async def test_a_response_that_nobody_comes_back_for_is_cancelled(given_up: bool):
    held = event_stream(*EVENTS[:4], hold=True)
    with use_handles(KeptHandles(given_up=given_up)):
        async with (
            RESPONSES.model_with(held, as_json({})) as (model, server),
            model.request_stream(HELLO, BACKGROUND, NOTHING) as stream,
        ):
            async for _ in stream:
                break
    assert server.targets == ["/v1/responses", *(["/v1/responses/resp_1/cancel"] if given_up else [])]
