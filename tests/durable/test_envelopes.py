"""What steps record of requests."""

from __future__ import annotations

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
        assert read_request(request_json(prepared)) == prepared
    assert "history" not in request_json(PreparedRequest(message, None, None))
