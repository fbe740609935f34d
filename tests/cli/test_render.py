"""What a terminal shows: whole ids."""

from __future__ import annotations

import sys

import pytest

from app.cli.render import table

RUN_ID = "01a2011c-1233-7822-a27e-bca5a96e5e11"


def test_ids_are_whole_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    table(("run_id", "agent", "output"), [{"run_id": RUN_ID, "agent": "demo", "output": "long " * 40}])
    assert RUN_ID in capsys.readouterr().out
