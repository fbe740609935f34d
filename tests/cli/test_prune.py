"""`holdfast prune`: old conversations go as a whole, and nothing that is still read."""

from __future__ import annotations

import httpx
import psycopg
import pytest

from tests.api.conftest import Stage, start
from tests.cli.test_operations import holdfast

AGE = ("prune", "--older-than", "30d")


def age(database: psycopg.Connection, *run_ids: str) -> None:
    """Let these runs have ended 31 days ago."""
    database.execute(
        "update dbos.workflow_status set completed_at = holdfast.now_ms() - 31 * 86400000::bigint,"
        " updated_at = holdfast.now_ms() - 31 * 86400000::bigint where workflow_uuid = any(%s)",
        [list(run_ids)],
    )


def run_ids(database: psycopg.Connection) -> tuple[set[str], set[str]]:
    """The runs that are there, and those that have events."""
    runs = database.execute("select run_id from holdfast.runs").fetchall()
    events = database.execute("select distinct run_id from holdfast.run_events").fetchall()
    return {run_id for (run_id,) in runs}, {run_id for (run_id,) in events}


def test_old_conversations_are_deleted_and_others_stay_whole(
    http: httpx.Client, stage: Stage, database: psycopg.Connection, database_url: str
) -> None:
    old, waiting, first = (start(http) for _ in range(3))
    stage.succeed(old["run_id"])
    stage.succeed(first["run_id"])
    stage.wait_for(waiting["run_id"], "c1")
    second = start(http, conversation_id=first["conversation_id"])
    stage.succeed(second["run_id"])
    age(database, old["run_id"], waiting["run_id"], first["run_id"])
    kept = {waiting["run_id"], first["run_id"], second["run_id"]}
    assert holdfast(database_url, *AGE, "--dry-run").stdout == "1\n"
    assert run_ids(database)[0] == {old["run_id"], *kept}
    assert holdfast(database_url, *AGE).stdout == "1\n"
    assert run_ids(database) == (kept, kept)
    assert holdfast(database_url, *AGE).stdout == "0\n"


def test_a_conversation_stays_as_long_as_its_forks(
    http: httpx.Client, stage: Stage, database: psycopg.Connection, database_url: str
) -> None:
    source = start(http)["run_id"]
    stage.succeed(source)
    fork = http.post(f"/api/runs/{source}/fork", json={}).json()["run_id"]
    stage.succeed(fork)
    age(database, source)
    assert holdfast(database_url, *AGE).stdout == "0\n"
    age(database, fork)
    assert holdfast(database_url, *AGE).stdout == "2\n"
    assert run_ids(database) == (set(), set())


@pytest.mark.parametrize("given", [(), ("--older-than", "soon"), ("--older-than", "0d")])
def test_an_age_must_be_given(database_url: str, given: tuple[str, ...]) -> None:
    assert holdfast(database_url, "prune", *given).returncode == 2
