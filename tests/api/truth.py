"""Holds answers of the service against its OpenAPI document: everything that tests see must be in there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

DOCUMENT = "urn:openapi"


class Truth:
    """One OpenAPI document. `check` is an event hook for httpx clients."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._registry = Registry().with_resource(DOCUMENT, DRAFT202012.create_resource(document))

    def check(self, response: httpx.Response) -> None:
        """Assert that the answer is documented: status, media type, headers, and body if it is JSON."""
        request = response.request
        found = self._operation(request.method.lower(), request.url.path)
        if found is None:
            assert response.status_code >= 400 or request.url.path == "/openapi.json", response
            return
        pointer, operation = found
        status, where = str(response.status_code), f"{request.method} {request.url.path} → {response.status_code}"
        assert status in operation["responses"], f"{where} is not documented"
        documented = operation["responses"][status]
        for name, header in documented.get("headers", {}).items():
            assert not header.get("required") or name in response.headers, f"{where} lacks {name}"
        media_type = response.headers.get("content-type", "").partition(";")[0]
        if not documented.get("content"):
            assert not media_type, f"{where} has content"
            return
        assert media_type in documented["content"], f"{where} has {media_type}"
        if media_type.endswith("json"):
            response.read()
            place = f"{pointer}/responses/{status}/content/{_escaped(media_type)}/schema"
            validator: Any = Draft202012Validator({"$ref": f"{DOCUMENT}#{place}"}, registry=self._registry)
            errors: Iterator[Any] = validator.iter_errors(response.json())
            assert not (told := [f"{where}: {error.json_path}: {error.message}" for error in errors]), told

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any]] | None:
        for template, methods in self._document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path) and method in methods:
                return f"/paths/{_escaped(template)}/{method}", methods[method]
        return None


def _escaped(name: str) -> str:
    """As a part of a JSON pointer in a URI fragment."""
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D").replace("+", "%2B")
