"""Log lines: JSON where no person watches, with the run they belong to, without secrets."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SCRIPT = """
import logging, structlog
from app.telemetry import bind_run, set_up_logging
set_up_logging("info")
bind_run("run-1", step=3)
structlog.get_logger("ours").info("asked", api_key="hunter2", headers={"Authorization": "hunter2", "accept": "x"})
logging.getLogger("theirs").warning("slow", extra={"password": "hunter2"})
from dbos._logger import init_logger  # what DBOS does when it starts
init_logger()
logging.getLogger("dbos").warning("queue is late")
logging.getLogger("httpx").info("GET /?key=hunter2")
structlog.get_logger("ours").debug("not shown")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("theirs").exception("broken")
"""


def logged() -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert "hunter2" not in done.stderr
    assert done.stdout == ""
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_lines_are_json_with_their_run_and_without_secrets() -> None:
    ours, theirs, dbos, broken = logged()
    assert (ours["event"], ours["level"], ours["run_id"], ours["step"]) == ("asked", "info", "run-1", 3)
    assert ours["headers"] == {"Authorization": "[hidden]", "accept": "x"}
    assert (theirs["event"], theirs["logger"], theirs["password"]) == ("slow", "theirs", "[hidden]")
    assert (dbos["event"], dbos["logger"], dbos["run_id"]) == ("queue is late", "dbos", "run-1")
    assert "ZeroDivisionError" in broken["exception"]
