"""What a terminal shows: whole ids, the model's text as it comes, a word when it is void."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from app.cli.render import progress, table

RUN_ID = "01a2011c-1233-7822-a27e-bca5a96e5e11"


def event(event_type: str, data: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"seq": 1, "step": 2, "attempt": 1, "type": event_type, "data": data, **fields}


def test_ids_are_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    table(("run_id", "agent", "output"), [{"run_id": RUN_ID, "agent": "demo", "output": "long " * 40}])
    assert RUN_ID in capsys.readouterr().out


def test_the_text_of_the_model_is_shown_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    progress(event("part_start", {"part": {"part_kind": "text", "content": "Hel"}}), show_text=True)
    progress(event("part_delta", {"delta": {"part_delta_kind": "text", "content_delta": "lo"}}), show_text=True)
    progress(event("part_end", {"part": {"part_kind": "text", "content": "Hello"}}), show_text=True)
    progress(event("part_end", {"part": {"part_kind": "tool-call"}}), show_text=True)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Hello\n")


def test_a_second_attempt_voids_the_text_of_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    progress(event("attempt", {"kind": "model"}), show_text=True)
    progress(event("attempt", {"kind": "model"}, attempt=2), show_text=True)
    assert capsys.readouterr().err == "· step 2: attempt 2, earlier text of this step is void\n"


def test_tool_calls_are_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    call = {"part": {"tool_name": "add", "args": {"a": 1, "note": "two\nlines"}}}
    progress(event("function_tool_call", call), show_text=False)
    assert capsys.readouterr().err == '· step 2: add({"a": 1, "note": "two\\nlines"})\n'
