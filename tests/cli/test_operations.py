"""`holdfast doctor` and `holdfast workers` on databases that are well, and on some that are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import psycopg
import pytest
from psycopg import sql

from app.db.engine import database_name
from tests.conftest import server_connection


def holdfast(url: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", *arguments]
    given = {**os.environ, "DATABASE_URL": url, **environment}
    return subprocess.run(command, capture_output=True, text=True, env=given, timeout=40, check=False)


@pytest.fixture
def worker(database: psycopg.Connection) -> None:
    database.execute(
        "insert into holdfast.workers (executor_id, application_version, host, pid) values ('w1', 'holdfast-1', 'h', 7)"
    )


@pytest.mark.usefixtures("worker")
def test_a_service_that_is_well_has_nothing_to_fix(database_url: str) -> None:
    result = holdfast(database_url, "doctor")
    assert (result.returncode, "fix:" in result.stdout) == (0, False), result.stdout
    things = [line.split()[1] for line in result.stdout.splitlines()]
    assert things == [
        f"{thing}:"
        for thing in ("settings", "agents", "database", "connection", "notifications", "clock", "migrations", "workers")
    ]
    assert "demo" in result.stdout


def test_each_thing_that_is_not_well_comes_with_a_fix(database_url: str, unmigrated_database_url: str) -> None:
    nobody_works = holdfast(database_url, "doctor")
    assert nobody_works.returncode == 1
    assert "fix: Start one with `holdfast worker`" in nobody_works.stdout
    assert "fix: Check DATABASE_URL" in holdfast("postgresql://nobody@127.0.0.1:9/none", "doctor").stdout
    wrong_agents = holdfast(database_url, "doctor", HOLDFAST_AGENTS="no.such.module")
    assert "FAIL  agents: " in wrong_agents.stdout
    with server_connection(database_url) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(database_name(unmigrated_database_url))))
    assert "fix: Run `holdfast migrate`" in holdfast(unmigrated_database_url, "doctor").stdout


@pytest.mark.usefixtures("worker")
def test_workers_are_listed(database_url: str) -> None:
    (listed,) = json.loads(holdfast(database_url, "workers", "--json").stdout)["workers"]
    assert (listed["executor_id"], listed["pid"], listed["runs"]) == ("w1", 7, 0)
    header, line = holdfast(database_url, "workers").stdout.splitlines()
    assert (header.split("\t")[0], line.split("\t")[0]) == ("executor_id", "w1")
