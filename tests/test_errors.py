"""The errors of the service carry what a problem document needs."""

from __future__ import annotations

from app.errors import BusyConversation, HoldfastError, NotFound


def test_the_docstring_of_an_error_is_its_title_and_default_detail() -> None:
    error = NotFound()
    assert (error.status_code, error.type) == (404, "not_found")
    assert error.title == error.detail == str(error) == "There is no such thing."


def test_an_error_names_field_and_fix() -> None:
    error = NotFound("No run 'x'.", type="unknown_run", field="run_id", fix="List the runs.")
    assert (error.type, error.detail, error.field, error.fix) == (
        "unknown_run",
        "No run 'x'.",
        "run_id",
        "List the runs.",
    )
    assert error.title == "There is no such thing."


def test_a_busy_conversation_names_the_run_that_keeps_it_busy() -> None:
    error = BusyConversation("0190")
    assert isinstance(error, HoldfastError)
    assert (error.status_code, error.type, error.run_id) == (409, "conversation_busy", "0190")
    assert "0190" in error.detail
