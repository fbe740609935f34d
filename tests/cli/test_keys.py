"""`holdfast keys` on a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

Holdfast = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def keys(database_url: str) -> Holdfast:
    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli", "keys", *arguments]
        environment = {**os.environ, "DATABASE_URL": database_url}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)

    return call


def test_a_key_is_made_shown_once_listed_and_revoked(keys: Holdfast) -> None:
    made = keys("create", "ci", "--scope", "read", "--expires-in", "30d")
    assert (made.returncode, made.stdout.startswith("hf_")) == (0, True)
    (listed,) = json.loads(keys("list", "--json").stdout)["keys"]
    assert (listed["name"], listed["scopes"], listed["revoked_at"]) == ("ci", ["read"], None)
    assert listed["expires_at"] > listed["created_at"]
    assert made.stdout.strip() not in keys("list").stdout
    assert keys("revoke", "ci").returncode == 0
    assert json.loads(keys("list", "--json").stdout)["keys"][0]["revoked_at"]


def test_what_cannot_be_done_is_said(keys: Holdfast) -> None:
    keys("create", "ci")
    for arguments, said in (
        (("create", "ci"), "already"),
        (("create", "x", "--scope", "all"), "read, run, approve, admin"),
        (("create", "x", "--expires-in", "soon"), "30d"),
        (("revoke", "nobody"), "keys list"),
    ):
        result = keys(*arguments)
        assert (result.returncode, said in result.stderr) == (2, True), result.stderr
