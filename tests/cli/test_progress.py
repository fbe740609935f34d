"""What is told while a run goes: lines in pipes, a moving line on terminals, the model's text as it comes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import Any

import httpx
import pytest

from app.cli.progress import Progress
from tests.api.conftest import Stage, start
from tests.cli.test_runs import environment

TIMES = ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:02.500000+00:00"]


def event(event_type: str, data: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"step": 2, "attempt": 1, "type": event_type, "data": data, "created_at": TIMES[0], **fields}


def tell(*events: dict[str, Any], show_text: bool) -> None:
    with Progress(lambda: 0, show_text=show_text) as progress:
        for one in events:
            progress.tell(one)


def test_the_text_of_the_model_is_shown_as_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    tell(
        event("part_start", {"part": {"part_kind": "text", "content": "Hel"}}),
        event("part_delta", {"delta": {"part_delta_kind": "text", "content_delta": "lo"}}),
        event("part_end", {"part": {"part_kind": "text", "content": "Hello"}}),
        event("part_end", {"part": {"part_kind": "tool-call"}}),
        show_text=True,
    )
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Hello\n")


def test_steps_and_tool_calls_are_told_in_one_line_each_with_the_time_since_the_start(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call = {"part": {"tool_name": "add", "args": {"a": 1, "note": "two\nlines"}}}
    tell(
        event("attempt", {"kind": "model", "name": "model"}),
        event("attempt", {"kind": "tool", "name": "tool:add"}, step=3, created_at=TIMES[1]),
        event("function_tool_call", call, step=3, created_at=TIMES[1]),
        show_text=False,
    )
    assert capsys.readouterr().err == '· 0.0 s  step 2: model\n· 2.5 s  step 3: add({"a": 1, "note": "two\\nlines"})\n'


def test_what_somebody_says_to_the_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"message_id": "m", "content": "be\nquick", "priority": "asap", "sent_by": "ann"}
    tell(event("message_sent", data, step=None), event("message_taken", {"message_id": "m"}), show_text=False)
    assert capsys.readouterr().err == "· 0.0 s  message from ann: be quick\n"


def test_a_second_attempt_voids_the_text_of_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    tell(event("attempt", {"kind": "model", "name": "model"}, attempt=2), show_text=True)
    assert capsys.readouterr().err == "· 0.0 s  step 2: model, attempt 2; its earlier text is void\n"


def test_a_terminal_gets_a_line_that_moves(service_url: str, http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    stage.say(run_id, "hello")
    stage.succeed(run_id, "the answer")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "app.cli", "runs", "follow", run_id]
    given = {**environment(service_url), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=given) as shown:
        os.close(theirs)
        answer, _ = shown.communicate(timeout=30)
    terminal = os.read(ours, 100_000).decode()
    os.close(ours)
    assert answer == b"the answer\n"
    assert "tokens · " in terminal
    assert "· 0.0 s  queued" in terminal
    assert "succeeded: 0 steps, 0 tokens" in terminal
