"""The OpenAPI document: complete, and true."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI


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
        ("post", "/api/runs/{run_id}/cancel"),
        ("post", "/api/runs/{run_id}/resume"),
        ("post", "/api/runs/{run_id}/fork"),
        ("post", "/api/runs/{run_id}/approvals/{tool_call_id}"),
        ("get", "/api/approvals"),
        ("get", "/api/conversations/{conversation_id}"),
        ("get", "/api/agents"),
        ("get", "/api/agents/{name}"),
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
                assert schema == {"$ref": "#/components/schemas/Problem"}


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
