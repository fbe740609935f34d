"""A file that counts effects outside the processes: one JSON line for each thing that really happened."""

from __future__ import annotations

import json
import os
import time

FILE_VARIABLE = "HOLDFAST_DEMO_EFFECTS"


def record(tool: str, phase: str, key: str | None, **facts: object) -> None:
    """Append one line to the file named by HOLDFAST_DEMO_EFFECTS; without it nothing is written."""
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        return
    line = {"tool": tool, "phase": phase, "idempotency_key": key, "pid": os.getpid(), "at": time.time(), **facts}
    # One write to a file opened for appending: lines of several processes never mix.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, json.dumps(line).encode() + b"\n")
    finally:
        os.close(file)
