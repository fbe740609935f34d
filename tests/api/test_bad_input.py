"""Requests that are wrong: each answer names the field and the fix, and nothing is stored."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.api.conftest import MAX_PROMPT_BYTES, make_test_app, serving, start

RUN = {"agent": "demo", "prompt": "hello"}
DEEP = '{"agent": "demo", "prompt": "x", "metadata": ' + '{"a":' * 200 + "1" + "}" * 201
BOMB = {
    "type": "object",
    "allOf": [{"$ref": "#/$defs/d0"}],
    "$defs": {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)} | {"d40": {}},
}
SOME_ID = "0198c0de-0000-7000-8000-000000000000"


def refused(response: httpx.Response, status: int, problem_type: str, field: str | None) -> dict[str, Any]:
    problem = response.json()
    assert response.status_code == status, problem
    assert response.headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["type"], problem.get("field")) == (status, problem_type, field)
    assert problem["title"]
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(
    ("body", "problem_type", "field"),
    [
        ({"prompt": "x"}, "invalid_request", "agent"),
        ({"agent": "nobody", "prompt": "x"}, "unknown_agent", "agent"),
        ({"agent": "demo"}, "invalid_request", "prompt"),
        ({**RUN, "prompt": ""}, "invalid_request", "prompt"),
        ({**RUN, "prompt": 3}, "invalid_request", "prompt"),
        ({**RUN, "prompt": []}, "invalid_request", "prompt"),
        ({**RUN, "prompt": ["x", {"kind": "image-ul", "url": "u"}]}, "invalid_request", "prompt[1]"),
        ({**RUN, "prompt": [{"kind": "image-url"}]}, "invalid_request", "prompt[0].url"),
        (
            {**RUN, "prompt": [{"kind": "image-url", "url": "http://10.0.0.1/a.png", "force_download": "allow-local"}]},
            "not_allowed",
            "prompt[0]",
        ),
        ({**RUN, "color": "red"}, "invalid_request", "color"),
        ({**RUN, "model": "gpt"}, "invalid_request", "model"),
        ({**RUN, "model_settings": {"temperatur": 1}}, "invalid_request", "model_settings.temperatur"),
        ({**RUN, "usage_limits": {"request_limit": "5"}}, "invalid_request", "usage_limits.request_limit"),
        ({**RUN, "usage_limits": {"request_limit": -1}}, "invalid_request", "usage_limits.request_limit"),
        ({**RUN, "timeout": 0}, "invalid_request", "timeout"),
        ({**RUN, "timeout": "10"}, "invalid_request", "timeout"),
        ({**RUN, "metadata": [1]}, "invalid_request", "metadata"),
        ({**RUN, "on_busy": "enqueue"}, "not_supported_yet", "on_busy"),
        ({**RUN, "on_busy": "wait"}, "invalid_request", "on_busy"),
        ({**RUN, "deps": {}}, "invalid_deps", "deps"),
        ({**RUN, "deps": [1]}, "invalid_request", "deps"),
        ({**RUN, "output_schema": "object"}, "invalid_request", "output_schema"),
        ({**RUN, "output_schema": {}}, "invalid_output_schema", "output_schema"),
        ({**RUN, "output_schema": {"type": "array"}}, "invalid_output_schema", "output_schema"),
        ({**RUN, "output_schema": {"type": "object", "properties": 3}}, "invalid_output_schema", "output_schema"),
        ({**RUN, "output_schema": {"type": "object", "not": {"$ref": "#"}}}, "invalid_output_schema", "output_schema"),
        ({**RUN, "output_schema": {"type": "object", "not": {"$ref": "x"}}}, "invalid_output_schema", "output_schema"),
        ({**RUN, "output_schema": BOMB}, "invalid_output_schema", "output_schema"),
        ({**RUN, "prompt": "a\0b"}, "unstorable_value", "prompt"),
        ({**RUN, "metadata": {"a": [{"b\0": 1}]}}, "unstorable_value", "metadata.a[0]"),
        ({**RUN, "prompt": "x" * MAX_PROMPT_BYTES}, "prompt_too_large", "prompt"),
        ([1, 2], "invalid_request", "body"),
    ],
)
def test_a_wrong_body_is_refused_by_field(http: httpx.Client, body: Any, problem_type: str, field: str) -> None:
    problem = refused(http.post("/api/runs", json=body), 422, problem_type, field)
    assert problem["fix"]
    assert http.get("/api/runs").json()["runs"] == []


@pytest.mark.parametrize(
    ("text", "status", "problem_type", "field"),
    [
        (r'{"agent": "demo", "prompt": "lone \ud800 surrogate"}', 422, "unstorable_value", "prompt"),
        (r'{"agent": "demo", "prompt": "x", "metadata": {"n": NaN}}', 422, "unstorable_value", "metadata.n"),
        (r'{"agent": "demo", "prompt": "x", "metadata": {"n": 1e999}}', 422, "unstorable_value", "metadata.n"),
        (DEEP, 422, "unstorable_value", None),
        ("[" * 9000 + "]" * 9000, 400, "malformed_request", None),
        ('{"agent": ', 422, "invalid_request", "body"),
    ],
)
def test_json_that_cannot_be_stored_or_read_is_refused(
    http: httpx.Client, text: str, status: int, problem_type: str, field: str | None
) -> None:
    response = http.post("/api/runs", content=text, headers={"content-type": "application/json"})
    problem = response.json()
    assert (response.status_code, problem["type"]) == (status, problem_type)
    if field:
        assert problem["field"] == field


def test_a_body_that_is_no_utf8_is_refused(http: httpx.Client) -> None:
    response = http.post("/api/runs", content=b'{"agent": "\xff"}', headers={"content-type": "application/json"})
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


def test_all_wrong_fields_are_listed(http: httpx.Client) -> None:
    problem = http.post("/api/runs", json={"prompt": "", "timeout": -1}).json()
    assert [error["field"] for error in problem["errors"]] == ["agent", "prompt", "timeout"]


def test_a_body_over_the_limit_is_refused_while_it_arrives(http: httpx.Client) -> None:
    def chunks():
        for _ in range(100):
            yield b" " * 1000

    response = http.post("/api/runs", content=chunks(), headers={"content-type": "application/json"})
    refused(response, 413, "body_too_large", None)


def test_a_prompt_just_under_the_limit_is_accepted(http: httpx.Client) -> None:
    start(http, prompt="x" * (MAX_PROMPT_BYTES - 2))


def test_an_unknown_conversation_is_not_found(http: httpx.Client) -> None:
    response = http.post("/api/runs", json={**RUN, "conversation_id": SOME_ID})
    refused(response, 404, "unknown_conversation", "conversation_id")
    refused(http.get(f"/api/conversations/{SOME_ID}"), 404, "unknown_conversation", "conversation_id")


@pytest.mark.parametrize("suffix", ["", "/steps", "/messages", "/events"])
def test_run_ids_are_checked_before_they_are_looked_up(http: httpx.Client, suffix: str) -> None:
    refused(http.get(f"/api/runs/no-uuid{suffix}"), 422, "invalid_request", "run_id")
    refused(http.get(f"/api/runs/{SOME_ID}{suffix}"), 404, "unknown_run", "run_id")


def test_verbs_on_unknown_runs_are_not_found(http: httpx.Client) -> None:
    refused(http.post(f"/api/runs/{SOME_ID}/cancel"), 404, "unknown_run", "run_id")
    refused(http.delete(f"/api/runs/{SOME_ID}"), 404, "unknown_run", "run_id")
    body = {"tool_call_id": "c", "result": 1}
    refused(http.post(f"/api/runs/{SOME_ID}/resume", json=body), 404, "unknown_run", "run_id")


@pytest.mark.parametrize(
    ("query", "problem_type", "field"),
    [
        ("limit=0", "invalid_request", "limit"),
        ("limit=many", "invalid_request", "limit"),
        ("status=done", "invalid_request", "status"),
        ("cursor=abc", "malformed_cursor", "cursor"),
        ("cursor=WzEsIDJd", "malformed_cursor", "cursor"),
        ("cursor=%C3%A9", "malformed_cursor", "cursor"),
        ("agent=%00", "invalid_request", "agent"),
        ("conversation_id=a%00", "invalid_request", "conversation_id"),
    ],
)
def test_wrong_list_parameters_are_refused(http: httpx.Client, query: str, problem_type: str, field: str) -> None:
    refused(http.get(f"/api/runs?{query}"), 422, problem_type, field)


def test_a_conversation_id_with_nul_is_refused(http: httpx.Client) -> None:
    refused(http.get("/api/conversations/a%00b"), 422, "invalid_request", "conversation_id")


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "1e3", "99999999999999999999", "1 2"])
def test_a_malformed_last_event_id_is_refused(http: httpx.Client, given: str) -> None:
    run = start(http)
    response = http.get(f"/api/runs/{run['run_id']}/events", headers={"Last-Event-ID": given})
    refused(response, 422, "malformed_last_event_id", "Last-Event-ID")


@pytest.mark.parametrize("given", ["-1", "x", "9999999999999999999999"])
def test_a_malformed_after_is_refused(http: httpx.Client, given: str) -> None:
    run = start(http)
    refused(http.get(f"/api/runs/{run['run_id']}/events?after={given}"), 422, "invalid_request", "after")


def test_unknown_paths_and_methods_are_problems_too(http: httpx.Client) -> None:
    refused(http.get("/api/nothing"), 404, "not_found", None)
    response = http.put("/api/runs")
    refused(response, 405, "method_not_allowed", None)
    assert response.headers["allow"] == "GET, POST"
    assert http.patch(f"/api/runs/{SOME_ID}").headers["allow"] == "DELETE, GET"


def test_a_body_that_is_not_declared_as_json_is_refused(http: httpx.Client) -> None:
    response = http.post("/api/runs", content='{"agent": "demo"}', headers={"content-type": "text/plain"})
    refused(response, 415, "unsupported_media_type", "Content-Type")


def test_an_unexpected_error_is_a_problem_without_its_text(database_url: str) -> None:
    app = make_test_app(database_url)

    @app.get("/boom")
    async def boom() -> None:
        raise RuntimeError("secret detail")

    with serving(app) as url:
        response = httpx.get(f"{url}/boom")
    problem = refused(response, 500, "internal_error", None)
    assert "secret" not in str(problem)
