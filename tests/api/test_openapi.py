"""The OpenAPI document: complete, and true."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api.security import AccessRules
from app.durable import names
from tests.api.conftest import make_test_app


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_all_routes_are_described(document: dict[str, Any]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} == {
        ("post", "/api/runs"),
        ("get", "/api/runs"),
        ("get", "/api/runs/{run_id}"),
        ("delete", "/api/runs/{run_id}"),
        ("get", "/api/runs/{run_id}/steps"),
        ("get", "/api/runs/{run_id}/messages"),
        ("get", "/api/runs/{run_id}/events"),
        ("post", "/api/runs/{run_id}/messages"),
        ("post", "/api/runs/{run_id}/cancel"),
        ("post", "/api/runs/{run_id}/resume"),
        ("post", "/api/runs/{run_id}/fork"),
        ("post", "/api/runs/{run_id}/approvals/{tool_call_id}"),
        ("post", "/api/runs/{run_id}/inputs/{tool_call_id}"),
        ("get", "/api/approvals"),
        ("get", "/api/conversations/{conversation_id}"),
        ("get", "/api/agents"),
        ("get", "/api/agents/{name}"),
        ("put", "/api/agents/{name}"),
        ("get", "/livez"),
        ("get", "/readyz"),
        ("get", "/metrics"),
    }
    assert all(operation["description"] for _, _, operation in operations(document))


def test_every_error_is_described_as_a_problem(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in str(document)
    for _, _, operation in operations(document):
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema["$ref"] == "#/components/schemas/Problem"
                assert schema["properties"]["status"] == {"const": int(status)}


def test_problem_types_are_listed_with_examples(document: dict[str, Any]) -> None:
    cancel = document["paths"]["/api/runs/{run_id}/cancel"]["post"]["responses"]
    conflict = cancel["409"]["content"]["application/problem+json"]
    assert conflict["schema"]["properties"]["type"] == {"enum": ["run_finished"]}
    assert conflict["examples"]["run_finished"]["value"]["fix"] == "Nothing is left to cancel; read its outcome."
    assert cancel["503"]["headers"]["Retry-After"]["required"]


def test_the_page_on_the_api_lists_the_documented_problem_types(document: dict[str, Any]) -> None:
    documented = {
        problem_type
        for _, _, operation in operations(document)
        for status, response in operation["responses"].items()
        if int(status) >= 400
        for problem_type in response["content"]["application/problem+json"]["examples"]
    }
    page = (Path(__file__).parents[2] / "docs/api.md").read_text().partition("## Errors")[2]
    listed = {word for line in page.splitlines() if line.startswith("| ") for word in re.findall("`([a-z_]+)`", line)}
    assert documented <= listed
    assert listed - documented <= {"not_found", "method_not_allowed", "read", "run", "approve", "admin"}


def test_the_document_tells_whether_a_key_is_needed(database_url: str) -> None:
    keyless = make_test_app(database_url).openapi()
    keyed = make_test_app(database_url, AccessRules(max_body_bytes=1, api_key="secret")).openapi()
    assert keyless["security"] == [{"bearer": []}, {"key": []}, {}]
    assert keyed["security"] == [{"bearer": []}, {"key": []}]
    assert keyed["paths"]["/livez"]["get"]["security"] == []
    assert "secret" not in str(keyed)


def test_answers_have_exactly_the_documented_fields(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in ("Run", "RunSummary", "Step", "Event", "Approval", "AgentInfo", "RunPage"):
        assert schemas[name]["additionalProperties"] is False
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"])


def test_all_references_lead_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            return own + [found for item in value.values() for found in references(item)]
        return [found for item in value for found in references(item)] if isinstance(value, list) else []

    schemas = document["components"]["schemas"]
    assert all(reference.removeprefix("#/components/schemas/") in schemas for reference in references(document))


def test_the_document_is_served(http: httpx.Client) -> None:
    served = http.get("/openapi.json").json()
    assert served["info"]["title"] == "Holdfast"
    events = served["paths"]["/api/runs/{run_id}/events"]["get"]["responses"]["200"]["content"]
    assert set(events) == {"text/event-stream", "application/json"}
    types = events["text/event-stream"]["itemSchema"]["properties"]["event"]["enum"]
    assert {*names.STATE_EVENTS, *names.STEP_EVENTS, *names.MESSAGE_EVENTS} == set(types)
