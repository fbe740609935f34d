"""The OpenAPI document: what FastAPI cannot know of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from fastapi import FastAPI

from app.api.schemas import Problem
from app.api.security import OPEN_PATHS

Document = dict[str, Any]

_BASE64: Final = "[A-Za-z0-9+/_-]"


def complete_openapi(app: FastAPI, *, needs_key: bool) -> None:
    """Let the application describe itself completely; `needs_key` tells whether requests are asked for a key."""
    generate = app.openapi

    def openapi() -> Document:
        if app.openapi_schema is None:
            document = generate()
            _add_problem(document)
            _require_kinds(document)
            _narrow_files(document)
            _document_keys(document, needs_key=needs_key)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi


def _add_problem(document: Document) -> None:
    """Add the schema of problems, and drop FastAPI's own error schemas."""
    schemas = _schemas(document)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= problem.pop("$defs")
    schemas["Problem"] = problem


def _require_kinds(document: Document) -> None:
    """Require the field that tells the variants of a union apart: it has a default, but a body must name it."""
    for found in _objects(document):
        if isinstance(discriminator := found.get("discriminator"), dict):
            told = cast("dict[str, Any]", discriminator)
            for reference in told["mapping"].values():
                variant = _schemas(document)[reference.rpartition("/")[2]]
                variant["required"] = sorted({*variant.get("required", ()), told["propertyName"]})


def _narrow_files(document: Document) -> None:
    """Say what of files is refused: what is no base64, and downloads from private addresses."""
    for schema in _schemas(document).values():
        fields = schema.get("properties", {})
        if "force_download" in fields:
            fields["force_download"] = {"type": "boolean", "title": "Force Download", "default": False}
        if fields.get("kind", {}).get("const") == "binary":
            fields["data"]["contentEncoding"] = "base64"
            fields["data"]["pattern"] = f"^({_BASE64}{{4}})*({_BASE64}{{2}}==|{_BASE64}{{3}}=)?$"


def _document_keys(document: Document, *, needs_key: bool) -> None:
    """Tell how callers show who they are: by either header, or not at all if keyless."""
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    document["security"] = [{"bearer": []}, {"key": []}, *([] if needs_key else [{}])]
    for path in OPEN_PATHS & document["paths"].keys():
        for operation in document["paths"][path].values():
            operation["security"] = []


def _schemas(document: Document) -> dict[str, Any]:
    return document.setdefault("components", {}).setdefault("schemas", {})


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield cast("dict[str, Any]", value)
        for item in cast("dict[str, Any]", value).values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _objects(item)
