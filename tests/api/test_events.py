"""Following runs: server-sent events and pages."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from httpx_sse import connect_sse

from tests.api.conftest import Stage, make_test_app, serving, start, until


def events_of(
    http: httpx.Client, run_id: str, found: list[Any] | None = None, *, after: int | None = None, count: int = 0
) -> list[Any]:
    """What the stream sends until it ends, or its first `count` events; added to `found` as it comes."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    found = [] if found is None else found
    with connect_sse(http, "GET", f"/api/runs/{run_id}/events", headers=headers) as source:
        for message in source.iter_sse():
            event = json.loads(message.data)
            assert (message.id, message.event) == (str(event["seq"]), event["type"])
            found.append(event)
            if len(found) == count:
                break
    return found


@pytest.fixture
def finished(http: httpx.Client, stage: Stage) -> str:
    run_id = start(http)["run_id"]
    stage.set_status(run_id, "PENDING")
    stage.say(run_id, "Hel", "lo")
    stage.succeed(run_id)
    return run_id


def test_the_stream_of_a_finished_run_has_all_events_and_ends(http: httpx.Client, finished: str) -> None:
    events = events_of(http, finished)
    assert [event["type"] for event in events] == [
        "run_queued",
        "run_running",
        "part_delta",
        "part_delta",
        "run_succeeded",
    ]
    assert [event["seq"] for event in events] == [1, 2, 3, 4, 5]
    assert (events[2]["step"], events[2]["attempt"], events[2]["data"]) == (1, 1, {"text": "Hel"})


@pytest.mark.parametrize("by", ["header", "query"])
def test_a_stream_goes_on_behind_the_last_event(http: httpx.Client, finished: str, by: str) -> None:
    options: dict[str, Any] = {"headers": {"Last-Event-ID": "3"}} if by == "header" else {"params": {"after": 3}}
    with connect_sse(http, "GET", f"/api/runs/{finished}/events", **options) as source:
        assert [message.id for message in source.iter_sse()] == ["4", "5"]


def test_the_header_goes_before_the_query(http: httpx.Client, finished: str) -> None:
    response = http.get(f"/api/runs/{finished}/events?after=1", headers={"Last-Event-ID": "4"})
    assert response.text.startswith("event: run_succeeded\n")


def test_nothing_behind_the_end_is_204(http: httpx.Client, finished: str) -> None:
    for after in ("5", "77"):
        response = http.get(f"/api/runs/{finished}/events", headers={"Last-Event-ID": after})
        assert (response.status_code, response.content) == (204, b"")


def test_a_stream_may_pass_proxies_unbuffered(http: httpx.Client, finished: str) -> None:
    response = http.get(f"/api/runs/{finished}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"


def test_events_arrive_while_the_run_goes_on(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    seen: list[Any] = []
    follower = threading.Thread(target=lambda: seen.extend(events_of(http, run_id)))
    follower.start()
    stage.set_status(run_id, "PENDING")
    for text in "abc":
        stage.say(run_id, text)
    stage.succeed(run_id)
    follower.join(10)
    assert [event["seq"] for event in seen] == [1, 2, 3, 4, 5, 6]
    assert "".join(event["data"]["text"] for event in seen if event["type"] == "part_delta") == "abc"


def test_many_followers_of_one_run_see_the_same(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    seen: dict[int, list[int]] = {}

    def follow(number: int) -> None:
        seen[number] = [event["seq"] for event in events_of(http, run_id, after=number % 3)]

    stage.set_status(run_id, "PENDING")  # the followers name events that exist
    followers = [threading.Thread(target=follow, args=[number]) for number in range(9)]
    for follower in followers:
        follower.start()
    for start_at in range(0, 1500, 50):
        stage.say(run_id, *[str(number) for number in range(start_at, start_at + 50)])
    stage.succeed(run_id)
    for follower in followers:
        follower.join(30)
    assert seen == {number: list(range(number % 3 + 1, 1504)) for number in range(9)}


def test_a_late_follower_gets_what_memory_no_longer_holds(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    for _ in range(30):
        stage.say(run_id, *["x"] * 50)
    early = threading.Thread(target=lambda: events_of(http, run_id))
    early.start()
    until(lambda: len(events_of(http, run_id, count=1501)) == 1501)
    late: list[Any] = []
    follower = threading.Thread(target=lambda: late.extend(events_of(http, run_id)))
    follower.start()
    stage.succeed(run_id)
    follower.join(20)
    early.join(20)
    assert [event["seq"] for event in late] == list(range(1, 1503))


def test_idle_streams_are_kept_open_by_pings(database_url: str) -> None:
    with serving(make_test_app(database_url, ping_seconds=0.1)) as url, httpx.Client(base_url=url) as http:
        run_id = start(http)["run_id"]
        with http.stream("GET", f"/api/runs/{run_id}/events") as response:
            lines: Iterator[str] = response.iter_lines()
            assert until(lambda: next(lines).startswith(": ping"))


def test_a_stopping_process_sends_its_followers_elsewhere(database_url: str) -> None:
    app = make_test_app(database_url)
    with serving(app) as url, httpx.Client(base_url=url) as http:
        run_id = start(http)["run_id"]
        with http.stream("GET", f"/api/runs/{run_id}/events") as response:
            lines = response.iter_lines()
            assert next(lines) == "event: run_queued"
            app.state.service.drain()
            assert [line for line in lines if line][-1] == "retry: 1000"
        problem = http.get("/readyz")
        assert (problem.status_code, problem.json()["type"]) == (503, "draining")


def test_a_deleted_run_lets_its_followers_go(http: httpx.Client, stage: Stage, database: Any) -> None:
    run_id = start(http)["run_id"]
    seen: list[Any] = []
    follower = threading.Thread(target=events_of, args=[http, run_id, seen])
    follower.start()
    until(lambda: seen)
    database.execute("delete from dbos.workflow_status where workflow_uuid = %s", [run_id])
    follower.join(20)
    assert not follower.is_alive()


def test_pages_of_json_reach_the_end(http: httpx.Client, finished: str) -> None:
    headers = {"accept": "application/json"}
    first = http.get(f"/api/runs/{finished}/events?limit=3", headers=headers).json()
    rest = http.get(f"/api/runs/{finished}/events?after={first['next_after']}", headers=headers).json()
    assert [event["seq"] for event in first["events"] + rest["events"]] == [1, 2, 3, 4, 5]
    assert (first["finished"], rest["finished"], rest["next_after"]) == (False, True, 5)


def test_a_resumed_run_is_followed_beyond_the_event_that_ended_it(http: httpx.Client, stage: Stage) -> None:
    run_id = start(http)["run_id"]
    # The terminal event is the last one of the page that is read at once.
    stage.say(run_id, *[""] * 498)
    stage.set_status(run_id, "ERROR")
    http.post(f"/api/runs/{run_id}/resume")
    http.post(f"/api/runs/{run_id}/cancel")
    seen: list[Any] = []
    events_of(http, run_id, seen)
    assert [event["seq"] for event in seen] == list(range(1, 503))
    types = [event["type"] for event in seen[499:]]
    assert types == ["run_failed", "run_queued", "run_cancelled"]
