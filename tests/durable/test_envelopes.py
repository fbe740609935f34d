"""What steps record of requests."""

from __future__ import annotations

from dataclasses import replace

from app.ai.messages import ModelRequest, ModelResponse, TextPart
from app.ai.steps import PreparedRequest
from app.durable.envelopes import read_request, request_json


def test_a_request_is_read_as_it_was_recorded_with_the_history_that_hooks_made():
    message = ModelRequest.user_text_prompt("go")
    history = [ModelRequest.user_text_prompt("old"), ModelResponse([TextPart("hm")])]
    for prepared in (
        PreparedRequest(message, {"top_k": 1}, None),
        PreparedRequest(message, None, None, history=history),
        PreparedRequest(message, None, None, history=[]),
    ):
        assert read_request(request_json(prepared, []), []) == prepared
    assert "history" not in request_json(PreparedRequest(message, None, None), [])


def test_the_beginning_of_the_conversation_is_not_recorded_with_a_request_that_adds_to_it():
    before = [
        ModelRequest.user_text_prompt("old"),
        ModelResponse([TextPart("hm")]),
        ModelRequest.user_text_prompt("go"),
    ]
    prepared = PreparedRequest(
        ModelRequest.user_text_prompt("sent"),
        None,
        None,
        history=[*before[:2], replace(before[2], instructions="Be kind.")],
    )
    recorded = request_json(prepared, before)
    assert (recorded["history_kept"], len(recorded["history"])) == (2, 1)
    assert read_request(recorded, before) == prepared
    whole = {**recorded, "history": request_json(prepared, [])["history"]}
    del whole["history_kept"]
    assert read_request(whole, before) == prepared, "as earlier versions recorded it"
