"""The crash demo, as `make crash-demo` plays it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(180)
def test_the_crash_demo_keeps_what_it_promises() -> None:
    demo = subprocess.run([sys.executable, "-m", "app.crash_demo"], capture_output=True, text=True, check=False)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "FAIL" not in demo.stdout
    assert demo.stdout.count("  ok   ") == 6
    assert len(demo.stdout.splitlines()) <= 40
